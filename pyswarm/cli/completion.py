"""`pyswarm completion SHELL`, and the names that complete where a node or a service is wanted."""

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem, get_completion_class

from core.errors import PyswarmError
from pyswarm.cli.client import Client
from pyswarm.cli.commands import command
from pyswarm.cli.json_types import Json

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@command("completion", "Print the completion script of SHELL: `source <(pyswarm completion bash)`.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "pyswarm", "_PYSWARM_COMPLETE").source())


def _names(path: str, names_of: Callable[[Json], Iterable[str]], suffix: str = "") -> Complete:
    """Completes what the daemon lists. Without a daemon there is nothing to offer, and nobody to tell."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            found = Client(ctx.find_root().params["host"]).get(path)
        except PyswarmError:
            return []
        names = {name for item in found for name in names_of(item)}
        return [CompletionItem(name + suffix) for name in sorted(names) if name.startswith(incomplete)]

    return complete


complete_services = _names("/services", lambda service: [service["Spec"]["Name"]])
complete_scale = _names("/services", lambda service: [service["Spec"]["Name"]], "=")
complete_secrets = _names("/secrets", lambda secret: [secret["Spec"]["Name"]])
complete_configs = _names("/configs", lambda config: [config["Spec"]["Name"]])
complete_nodes = _names("/nodes", lambda node: ["self", (node.get("Description") or {}).get("Hostname") or node["ID"]])
