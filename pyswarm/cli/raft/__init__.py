"""A stopped manager's log: check, dump."""

from pyswarm.cli.commands import Group

raft = Group(
    "raft",
    {
        "check": ("pyswarm.cli.raft.check", "check", "Read a stopped manager's log and say whether it is whole"),
        "dump": ("pyswarm.cli.raft.dump", "dump", "List the entries of a stopped manager's log"),
    },
    help="Look inside a stopped manager's log.",
)
