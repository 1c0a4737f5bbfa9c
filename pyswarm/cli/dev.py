"""`pyswarm dev`: several hosts on this machine, to try, to test and to break a cluster."""

import json
from collections.abc import Callable
from typing import Literal

import click

from pyswarm.dev import Host, Lab

_OTHERS = """
To have a second set of hosts beside the first, set PYSWARM_DEV_NAME, PYSWARM_DEV_ROOT (their folder) and
PYSWARM_DEV_SUBNET in the environment of every command.
"""


@click.group(
    "dev", help="Hosts on this one machine, each with its own address and Docker Engine (root only).", epilog=_OTHERS
)
def dev() -> None:
    pass


@dev.command(help="Make the hosts m1.. and w1.., or power on those that are there.")
@click.option("--managers", default=3, show_default=True, type=click.IntRange(0, 50), help="Hosts named m1, m2, ...")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(0, 150), help="Hosts named w1, w2, ...")
def up(managers: int, workers: int) -> None:
    for host in Lab().up(managers, workers, report=click.echo):
        click.echo(f"{host.name}\t{host.address}")


@dev.command(help="Remove every host with all it holds.")
def down() -> None:
    Lab().down()


@dev.command(help="One line of JSON for each host.")
def status() -> None:
    for host in Lab().hosts:
        row = {"name": host.name, "address": host.address, "up": host.pid is not None, "pid": host.pid}
        click.echo(json.dumps(row))


@dev.command(
    "exec",
    help="Run COMMAND inside HOST.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(host: str, command: tuple[str, ...]) -> None:
    Lab().host(host).execute(command[1:] if command[0] == "--" else command)


def _fault(name: str, help: str, action: Callable[[Host], None]) -> None:
    @dev.command(name, help=help)
    @click.argument("host")
    def command(host: str) -> None:
        action(Lab().host(host))
        click.echo(host)


@dev.command(help="Pull HOST's network cable.")
@click.argument("host")
@click.option("--only", type=click.Choice(("in", "out")), help="Lose only what HOST receives, or only what it sends.")
def cut(host: str, only: Literal["in", "out"] | None) -> None:
    Lab().host(host).cut(only or "both")
    click.echo(host)


_fault("mend", "Plug HOST's network cable in again.", Host.mend)
_fault("freeze", "Stop every process of HOST where it stands.", Host.freeze)
_fault("thaw", "Let HOST's processes go on.", Host.thaw)
_fault("poweroff", "Cut HOST's power; its disk is kept.", Host.poweroff)
_fault("poweron", "Start HOST, its engine, and its daemon if it belongs to a cluster.", Host.boot)
