"""Secrets and configs: create, inspect, ls, rm, update. They differ in little but that a config can be read."""

from pyswarm.cli.commands import Group


def _group(noun: str) -> Group:
    write, show = "pyswarm.cli.dependency.write", "pyswarm.cli.dependency.show"
    return Group(
        noun,
        {
            "create": (write, f"{noun}_create", f"Create a {noun} from a file or STDIN as content"),
            "inspect": (show, f"{noun}_inspect", f"Display detailed information on one or more {noun}s"),
            "ls": (show, f"{noun}_ls", f"List {noun}s"),
            "rm": (write, f"{noun}_rm", f"Remove one or more {noun}s"),
            "update": (write, f"{noun}_update", f"Give a {noun} new data, or other labels"),
        },
        help=f"Manage {noun}s.",
    )


secret = _group("secret")
config = _group("config")
