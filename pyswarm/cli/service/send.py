"""Sending a changed service back."""

from collections.abc import Mapping

import click

from pyswarm.cli.client import Client
from pyswarm.cli.json_types import Json


def send_update(
    client: Client, current: Json, rollback: bool = False, headers: Mapping[str, str] | None = None
) -> None:
    """Refused by the daemon if the service was changed since `current` was read. Warnings go to standard error."""
    query = {"version": current["Version"]["Index"], **({"rollback": "previous"} if rollback else {})}
    answer = client.post(f"/services/{current['ID']}/update", current["Spec"], query, headers)
    for warning in (answer or {}).get("Warnings") or ():
        click.echo(warning, err=True)
