"""`service inspect`."""

import time

import click

from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import command
from pyswarm.cli.errors import NOT_FOUND, ApiError
from pyswarm.cli.inspect import inspect_each
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import inspect_format_option, pretty_option
from pyswarm.cli.service.flags import services_argument
from pyswarm.cli.service.pretty import pretty_service


@command("inspect", "Display detailed information on one or more services.")
@services_argument
@pretty_option
@inspect_format_option
@click.pass_obj
def inspect(client: Client, services: tuple[str, ...], pretty: bool, template: str) -> None:
    def get(reference: str) -> Json:
        try:
            return client.get(path_to("/services", reference), {"insertDefaults": True})
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            raise click.ClickException(f"Error: no such service: {reference}") from None

    now = time.time()
    inspect_each(services, get, template, (lambda found: pretty_service(found, now)) if pretty else None)
