"""Services: create, explain, ls, ps, inspect, logs, rebalance, scale, update, rollback, rm."""

from pyswarm.cli.commands import Group

service = Group(
    "service",
    {
        "create": ("pyswarm.cli.service.create", "create", "Create a new service"),
        "explain": ("pyswarm.cli.explain", "explain_service", "Show why tasks wait, and what would change it"),
        "inspect": ("pyswarm.cli.service.inspect", "inspect", "Display detailed information on one or more services"),
        "logs": ("pyswarm.cli.service.logs", "logs", "Fetch the logs of a service or task"),
        "ls": ("pyswarm.cli.service.listing", "list_services", "List services"),
        "ps": ("pyswarm.cli.service.listing", "ps", "List the tasks of one or more services"),
        "rebalance": ("pyswarm.cli.service.rebalance", "rebalance", "Spread the tasks of a service again"),
        "rm": ("pyswarm.cli.service.simple", "remove", "Remove one or more services"),
        "rollback": ("pyswarm.cli.service.simple", "rollback", "Revert changes to a service's configuration"),
        "scale": ("pyswarm.cli.service.simple", "scale", "Scale one or multiple replicated services"),
        "update": ("pyswarm.cli.service.update", "update", "Update a service"),
    },
    help="Manage services.",
)
