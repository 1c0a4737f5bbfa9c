"""Services: create, ls, ps, inspect, logs, scale, update, rollback, rm."""

import click

from pyswarm.cli.service.create import create
from pyswarm.cli.service.inspect import inspect
from pyswarm.cli.service.listing import list_services, ps
from pyswarm.cli.service.logs import logs
from pyswarm.cli.service.simple import remove, rollback, scale
from pyswarm.cli.service.update import update


@click.group("service", help="Manage services.")
def service() -> None:
    pass


for _command in (create, inspect, list_services, logs, ps, remove, rollback, scale, update):
    service.add_command(_command)
