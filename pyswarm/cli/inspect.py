"""What `node inspect` and `service inspect` have in common."""

from collections.abc import Callable, Iterable, Sequence

import click

from pyswarm.cli.commands import fail_if, for_each
from pyswarm.cli.json_types import Json
from pyswarm.cli.output import print_inspected

Pretty = Callable[[Json], Iterable[str]]


def inspect_each(
    references: Sequence[str],
    get: Callable[[str], Json],
    template: str,
    pretty: Pretty | None,
) -> None:
    """Shows all that are there before the error names those that are not."""
    if pretty is not None and template:
        raise click.ClickException("--format is incompatible with human friendly format")
    found: list[Json] = []
    errors = for_each(references, lambda reference: found.append(get(reference)))
    if pretty is not None:
        for item in found:
            click.echo("\n".join(pretty(item)))
    else:
        print_inspected(found, template)
    fail_if(errors)
