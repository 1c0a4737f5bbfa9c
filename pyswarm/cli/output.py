"""How answers are shown: tables, --format, JSON, and times and sizes in words."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from pyswarm.cli.client import Json
from pyswarm.cli.gotemplate import Template, to_json

SHORT_ID = 12
_MIN_COLUMN = 10
_PADDING = 3

format_option = click.option("--format", "template", default="", help="A Go template, or 'json'.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Only show ids.")
no_trunc_option = click.option("--no-trunc", is_flag=True, help="Don't truncate the output.")
filter_option = click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Filter the output.")


def print_rows(rows: Sequence[Mapping[str, object]], headers: Mapping[str, str], template: str = "") -> None:
    """`rows` have a value for each field. `headers` names the default table's columns, field -> heading, in order."""
    if template == "json":
        for row in rows:
            click.echo(to_json(dict(sorted(row.items()))))
        return
    is_table = not template or template == "table" or template.startswith("table ")
    body = template.removeprefix("table").strip() or "\t".join(f"{{{{.{field}}}}}" for field in headers)
    parsed = Template(body.replace("\\t", "\t").replace("\\n", "\n"))
    lines = [parsed.render(dict(row)) for row in rows]
    if not is_table:
        for line in lines:
            click.echo(line)
        return
    heading = parsed.render({field: headers.get(field, _heading(field)) for field in _fields(body, headers)})
    click.echo(_aligned([line.split("\t") for line in (heading, *lines)]))


def print_inspected(objects: Sequence[Json], template: str) -> None:
    """What `inspect` shows: an indented JSON array, or each object through the template."""
    if not template:
        click.echo(json.dumps(objects, indent=4, ensure_ascii=False))
        return
    parsed = Template("{{json .}}" if template == "json" else template)
    for item in objects:
        click.echo(parsed.render(item))


def _aligned(cells: list[list[str]]) -> str:
    columns = max(len(line) for line in cells)
    widths = [
        max(_MIN_COLUMN, max(len(line[i]) for line in cells if i < len(line)) + _PADDING) for i in range(columns - 1)
    ]
    return "\n".join(
        "".join(text.ljust(width) for text, width in zip(line, widths, strict=False)) + line[-1] for line in cells
    )


def _fields(template: str, headers: Mapping[str, str]) -> set[str]:
    return set(headers) | set(re.findall(r"\.(\w+)", template))


def _heading(field: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", field).upper()


def parse_time(text: str) -> datetime:
    """RFC 3339 with nanoseconds, as the API gives it."""
    match = re.fullmatch(r"(\d+-\d+-\d+T\d+:\d+:\d+)(\.\d+)?(Z|[+-]\d+:\d+)", text)
    if match is None:
        return datetime.fromtimestamp(0, UTC)
    fraction = (match[2] or ".0")[:7].ljust(7, "0")
    return datetime.fromisoformat(match[1] + fraction + ("+00:00" if match[3] == "Z" else match[3]))


def ago(text: str) -> str:
    return f"{duration_in_words((datetime.now(UTC) - parse_time(text)).total_seconds())} ago"


def duration_in_words(seconds: float) -> str:
    """As Docker says it: `Less than a second`, `About a minute`, `3 hours`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    minutes = whole // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for limit, unit, name in ((14, 1, "days"), (60, 7, "weeks"), (730, 30, "months")):
        if hours < limit * 24:
            return f"{hours // (24 * unit)} {name}"
    return f"{hours // 24 // 365} years"


def ellipsis(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def short_id(identifier: str, no_trunc: bool = False) -> str:
    return identifier if no_trunc else identifier[:SHORT_ID]
