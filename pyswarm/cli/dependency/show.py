"""`secret ls` and `inspect`, and the same of configs."""

import base64
import time
from collections.abc import Iterator
from functools import partial

import click

from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import Command, command
from pyswarm.cli.dependency.arguments import several
from pyswarm.cli.inspect import inspect_each
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import filters_of, inspect_format_option, listing_flags, pretty_option
from pyswarm.cli.output import Listing, print_listing
from pyswarm.cli.template import Row
from pyswarm.cli.words import duration_in_words, go_time, natural, seconds_of

_SECRETS = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.CreatedAt}}\t{{.UpdatedAt}}"
_CONFIGS = "{{.ID}}\t{{.Name}}\t{{.CreatedAt}}\t{{.UpdatedAt}}"
_HEADINGS = {
    "ID": "ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "CreatedAt": "CREATED",
    "UpdatedAt": "UPDATED",
    "Labels": "LABELS",
}


def _list(noun: str, listing: Listing) -> Command:
    @command("ls", f"List {noun}s.")
    @listing_flags
    @click.pass_obj
    def list_(client: Client, filters: tuple[tuple[str, str], ...], template: str, quiet: bool) -> None:
        found = client.get(f"/{noun}s", {"filters": filters_of(filters)})
        now = time.time()
        rows = [_row(item, listing, now) for item in sorted(found, key=lambda item: natural(item["Spec"]["Name"]))]
        print_listing(listing, rows, template, quiet)

    return list_


def _row(item: Json, listing: Listing, now: float) -> Row:
    """Drivers are none of pyswarm's."""
    spec = item["Spec"]
    values = {
        "ID": item["ID"],
        "Name": spec["Name"],
        "Driver": "",
        "CreatedAt": _ago(item["CreatedAt"], now),
        "UpdatedAt": _ago(item["UpdatedAt"], now),
        "Labels": ",".join(f"{key}={value}" for key, value in (spec.get("Labels") or {}).items()),
    }
    return Row({field: values[field] for field in listing.headings})


def _ago(moment: str, now: float) -> str:
    return f"{duration_in_words(now - seconds_of(moment))} ago"


def _inspect(noun: str) -> Command:
    @command("inspect", f"Display detailed information on one or more {noun}s.")
    @several(noun)
    @pretty_option
    @inspect_format_option
    @click.pass_obj
    def inspect(client: Client, references: tuple[str, ...], pretty: bool, template: str) -> None:
        def get(reference: str) -> Json:
            return client.get(path_to(f"/{noun}s", reference))

        inspect_each(references, get, template, partial(_pretty, noun) if pretty else None)

    return inspect


def _pretty(noun: str, item: Json) -> Iterator[str]:
    """Lines. Blanks and tabs are Docker's; a revision after the first is pyswarm's."""
    first, second = ("\t\t\t", "            \t") if noun == "config" else ("              ", "        ")
    yield f"ID:{first}{item['ID']}"
    yield f"Name:{first}{item['Spec']['Name']}"
    if labels := item["Spec"].get("Labels"):
        yield "Labels:"
        yield from (f" - {key}={value}" if value else f" - {key}" for key, value in sorted(labels.items()))
    if item["Revision"] > 1:
        yield f"Revision:  {second}{item['Revision']}"
    if noun == "secret":
        yield "Driver:            "
    yield f"Created at:{second}{go_time(item['CreatedAt']).lower()}"
    yield f"Updated at:{second}{go_time(item['UpdatedAt']).lower()}"
    if noun == "config":
        yield f"Data:\n{base64.b64decode(item['Spec'].get('Data', '')).decode(errors='replace')}"


secret_ls = _list("secret", Listing(_HEADINGS, {}, _SECRETS))
config_ls = _list("config", Listing({key: text for key, text in _HEADINGS.items() if key != "Driver"}, {}, _CONFIGS))
secret_inspect, config_inspect = _inspect("secret"), _inspect("config")
