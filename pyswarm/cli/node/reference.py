"""How a node is named."""

import click

from pyswarm.cli.client import Client
from pyswarm.cli.completion import complete_nodes

nodes_argument = click.argument(
    "references", metavar="NODE [NODE...]", nargs=-1, required=True, shell_complete=complete_nodes
)


def resolve(client: Client, reference: str) -> str:
    """`self` is the node that the command is given to."""
    return str(client.get("/info")["Swarm"]["NodeID"]) if reference == "self" else reference
