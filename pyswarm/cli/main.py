"""The command's entry: the nouns, loaded when they are used, and what an error becomes on the terminal."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import NoReturn

import click

from core.errors import PyswarmError
from pyswarm.cli.client import ApiError, Client, host_option

FLAG_ERROR = 125
"""Docker's exit code for a flag that does not exist or cannot be read; every other error is 1."""

COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "init": ("pyswarm.cli.swarm", "init", "Initialize a cluster"),
    "join": ("pyswarm.cli.swarm", "join", "Join a cluster as a worker or manager"),
    "leave": ("pyswarm.cli.swarm", "leave", "Leave the cluster"),
    "update": ("pyswarm.cli.swarm", "update", "Update the cluster's settings"),
    "join-token": ("pyswarm.cli.swarm", "join_token", "Show or rotate join tokens"),
    "swarm": ("pyswarm.cli.swarm", "swarm", "Manage the cluster (init, join, leave, update, join-token)"),
    "node": ("pyswarm.cli.node", "node", "Manage nodes"),
    "service": ("pyswarm.cli.service", "service", "Manage services"),
    "info": ("pyswarm.cli.system", "info", "Show this node and its cluster"),
    "version": ("pyswarm.cli.system", "version", "Show the versions of the command and the daemon"),
    "daemon": ("pyswarm.cli.daemon", "daemon", "Run the daemon in the foreground"),
    "dev": ("pyswarm.cli.dev", "dev", "Several hosts on this one machine, to try and to test"),
    "completion": ("pyswarm.cli.completion", "completion", "Print a shell's completion script"),
}


class LazyGroup(click.Group):
    """Knows its commands' names and one-line helps; imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(
    "pyswarm",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="A container orchestrator with Docker Swarm's simplicity.",
)
@host_option
@click.pass_context
def cli(ctx: click.Context, host: str) -> None:
    ctx.obj = Client(host)


def main() -> NoReturn:
    """Runs the command and exits as Docker's does."""
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show(sys.stdout)
        sys.exit(0)
    except click.exceptions.NoSuchOption as error:
        _usage(error, FLAG_ERROR)
    except click.exceptions.MissingParameter as error:
        _usage(error, 1)
    except click.exceptions.BadParameter as error:
        _usage(error, FLAG_ERROR)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except click.exceptions.Abort:
        click.echo(err=True)
        sys.exit(130)
    except ApiError as error:
        click.echo(f"Error response from daemon: {error.message}", err=True)
        sys.exit(1)
    except PyswarmError as error:
        click.echo(error.message, err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader (head, grep -q) has seen enough.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)


def _usage(error: click.UsageError, status: int) -> NoReturn:
    error.show()
    sys.exit(status)
