"""`system events`: what happens in the cluster and on this node's engine, as it happens."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime

import click

from core.clock import SECOND
from pyswarm.cli.client import Client
from pyswarm.cli.commands import command
from pyswarm.cli.json_types import Json
from pyswarm.cli.moments import parse_moment
from pyswarm.cli.options import filter_option, filters_of
from pyswarm.cli.template import NoValue, Template, Value

_FIELDS = {"Scope": "scope", "Time": "time", "TimeNano": "timeNano"}
"""What templates call by other names than the API."""


@command("events", "Show what happens in the cluster and on this node, until interrupted.")
@filter_option
@click.option("--since", default="", help="Show all events since a time (2013-01-02T13:23:37Z) or for a while (42m).")
@click.option("--until", default="", help="Show events until a time, or a while ago (0s: only those that were).")
@click.option("--format", "template", default="", help="'json' or a Go template.")
@click.pass_obj
def events(client: Client, filters: tuple[tuple[str, str], ...], since: str, until: str, template: str) -> None:
    now = time.time()
    query = {
        "since": parse_moment("since", since, now),
        "until": parse_moment("until", until, now),
        "filters": filters_of(filters),
    }
    parsed = Template(template) if template not in ("", "json") else None
    for line in _lines(client.stream("/events", query)):
        if template == "json":
            click.echo(line)
            continue
        event = json.loads(line)
        click.echo(parsed.render(event, _field) if parsed is not None else event_line(event))


def event_line(event: Json) -> str:
    """`2026-11-21T07:11:18.773188492Z service update t65s9itzz22h (name=web, replicas.new=2)`, in local time."""
    seconds, fraction = divmod(event["timeNano"], SECOND)
    moment = datetime.fromtimestamp(seconds).astimezone()
    zone = "Z" if not moment.utcoffset() else f"{moment:%z}"[:3] + ":" + f"{moment:%z}"[3:]
    actor = event["Actor"]
    attributes = ", ".join(f"{key}={value}" for key, value in sorted(actor["Attributes"].items()))
    shown = f" ({attributes})" if attributes else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09}{zone} {event['Type']} {event['Action']} {actor['ID']}{shown}"


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in whole)


def _field(parent: str, value: Mapping[str, Value], name: str) -> Value:
    return value.get(_FIELDS.get(name, name), NoValue())
