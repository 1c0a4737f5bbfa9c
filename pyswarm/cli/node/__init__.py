"""Nodes: ls, inspect, ps, update, promote, demote, rm."""

from pyswarm.cli.commands import Group

node = Group(
    "node",
    {
        "demote": ("pyswarm.cli.node.change", "demote", "Demote one or more managers to worker"),
        "inspect": ("pyswarm.cli.node.inspect", "inspect", "Display detailed information on one or more nodes"),
        "ls": ("pyswarm.cli.node.listing", "list_nodes", "List nodes"),
        "promote": ("pyswarm.cli.node.change", "promote", "Promote one or more nodes to manager"),
        "ps": ("pyswarm.cli.node.listing", "ps", "List the tasks of one or more nodes, defaults to this one"),
        "rm": ("pyswarm.cli.node.change", "remove", "Remove one or more nodes from the cluster"),
        "update": ("pyswarm.cli.node.change", "update", "Update a node"),
    },
    help="Manage nodes.",
)
