"""How answers are shown: listings as tables, JSON or through a template, and inspected objects."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from pyswarm.cli.inspected import api_field
from pyswarm.cli.json_types import Json
from pyswarm.cli.template import Row, Template

_MIN_COLUMN = 10
_PADDING = 3
_TABLE = "table"
_QUIET = "{{.ID}}"


@dataclass(frozen=True)
class Listing:
    """What a command lists: its fields with their headings in the order of the table."""

    headings: Mapping[str, str]
    raw: Mapping[str, str]
    """The fields that `--format raw` shows, by what it calls them."""
    table: str = ""
    """The template of the table, if it is not simply the headings' fields."""

    def is_table(self, template: str, quiet: bool) -> bool:
        return template.startswith(_TABLE) if template else not quiet

    def render(self, rows: Sequence[Row], template: str = "", quiet: bool = False) -> str:
        """Every line ended. `quiet` shows ids alone unless a template is given. Raises TemplateError."""
        parsed = Template(self._template(template, quiet))
        lines = [parsed.render(row) for row in rows]
        if self.is_table(template, quiet) and not (quiet and template == _TABLE):
            lines = aligned([line.split("\t") for line in (parsed.heading(self.headings), *lines)])
        return "".join(f"{line}\n" for line in lines)

    def _template(self, template: str, quiet: bool) -> str:
        if template in ("", _TABLE):
            default = self.table or "\t".join(f"{{{{.{name}}}}}" for name in self.headings)
            return _QUIET if quiet else default
        if template == "json":
            return "{{json .}}"
        if template == "raw":
            return "".join(f"{name}: {{{{.{field}}}}}\n" for name, field in self.raw.items())
        text = template.removeprefix(_TABLE).strip(" ")
        return text.replace("\\t", "\t").replace("\\n", "\n")


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Lines whose columns are as wide as what is in them, and at least 10; the last one is left as it is."""
    columns = max(len(line) for line in cells) - 1
    widths = [
        max([_MIN_COLUMN, *(len(line[i]) + _PADDING for line in cells if i < len(line) - 1)]) for i in range(columns)
    ]
    return [
        "".join(text.ljust(width) for text, width in zip(line[:-1], widths, strict=False)) + line[-1] for line in cells
    ]


def print_listing(listing: Listing, rows: Sequence[Row], template: str, quiet: bool) -> None:
    click.echo(listing.render(rows, template, quiet), nl=False)


def print_inspected(found: Sequence[Json], template: str) -> None:
    """What `inspect` shows: JSON, indented or (`json`) not, or each object through the template."""
    if not template:
        click.echo(json.dumps(found, indent=4, ensure_ascii=False))
    elif template == "json":
        click.echo(json.dumps(found, separators=(",", ":"), ensure_ascii=False))
    else:
        parsed = Template(template)
        shown = "".join(f"{parsed.render(item, api_field)}\n" for item in found)
        click.echo(shown or "\n", nl=False)
