"""The command's entry: the nouns, loaded when they are used, and what an error becomes on the terminal."""

import sys
from typing import NoReturn

import click

from core.errors import PyswarmError
from pyswarm.cli.commands import Group, Lazy
from pyswarm.cli.host import host_option
from pyswarm.cli.usage import ERROR, explain

INTERRUPTED = 130

COMMANDS: Lazy = {
    "init": ("pyswarm.cli.swarm", "init", "Initialize a cluster"),
    "join": ("pyswarm.cli.swarm", "join", "Join a cluster as a worker or manager"),
    "leave": ("pyswarm.cli.swarm", "leave", "Leave the cluster"),
    "update": ("pyswarm.cli.swarm", "update", "Update the cluster's settings"),
    "join-token": ("pyswarm.cli.swarm", "join_token", "Manage join tokens"),
    "ca": ("pyswarm.cli.authority", "authority", "Display and rotate the root certificate"),
    "unlock": ("pyswarm.cli.unlocking", "unlock", "Unlock this manager"),
    "unlock-key": ("pyswarm.cli.unlocking", "unlock_key", "Manage the unlock key"),
    "swarm": ("pyswarm.cli.swarm", "swarm", "Manage the cluster (init, join, leave, update, ca and more)"),
    "node": ("pyswarm.cli.node", "node", "Manage nodes"),
    "secret": ("pyswarm.cli.dependency", "secret", "Manage secrets"),
    "config": ("pyswarm.cli.dependency", "config", "Manage configs"),
    "service": ("pyswarm.cli.service", "service", "Manage services"),
    "task": ("pyswarm.cli.explain", "task", "Look at tasks"),
    "backup": ("pyswarm.cli.backup", "backup", "Write the whole state of the cluster to a sealed file"),
    "restore": ("pyswarm.cli.backup", "restore", "Start a cluster out of a backup"),
    "events": ("pyswarm.cli.events", "events", "Show what happens in the cluster and on this node"),
    "system": ("pyswarm.cli.system", "system", "The whole: events, info"),
    "info": ("pyswarm.cli.system", "info", "Show this node and its cluster"),
    "version": ("pyswarm.cli.system", "version", "Show the versions of the command and the daemon"),
    "daemon": ("pyswarm.cli.daemon", "daemon", "Run the daemon in the foreground"),
    "raft": ("pyswarm.cli.raft", "raft", "Look inside a stopped manager's log"),
    "dev": ("pyswarm.cli.dev", "dev", "Several hosts on this one machine, to try and to test"),
    "completion": ("pyswarm.cli.completion", "completion", "Print a shell's completion script"),
}


@click.pass_context
def _connect(ctx: click.Context, host: str) -> None:
    from pyswarm.cli.client import Client

    ctx.obj = Client(host)


def _tell_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"pyswarm version {version('pyswarm-orchestrator')}")
        ctx.exit()


version_option = click.option(
    "-v",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Print the version and exit.",
)
cli = Group(
    "pyswarm",
    COMMANDS,
    callback=_connect,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="A container orchestrator with Docker Swarm's simplicity.",
)
host_option(cli)
version_option(cli)


def main() -> NoReturn:
    """Runs the command and exits as Docker's does."""
    try:
        status = cli.main(prog_name="pyswarm", standalone_mode=False)
    except click.ClickException as error:
        message, code = explain(error)
        _fail(message, code)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except PyswarmError as error:
        _fail(error.message, ERROR)
    except OSError as error:
        # The output went to a file on a full disk, say.
        _fail(str(error), ERROR)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)
