"""`pyswarm completion SHELL`."""

import click
from click.shell_completion import get_completion_class


@click.command(help="Print the completion script of SHELL: `source <(pyswarm completion bash)`.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "pyswarm", "_PYSWARM_COMPLETE").source())
