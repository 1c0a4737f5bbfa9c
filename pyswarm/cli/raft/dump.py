"""`raft dump`: what the log holds, entry by entry."""

from pathlib import Path

from pyswarm.cli.commands import command
from pyswarm.cli.options import format_option
from pyswarm.cli.output import Listing, print_listing
from pyswarm.cli.raft.stopped import inspect_stopped, state_dir_option

LISTING = Listing(
    headings={
        "Index": "INDEX",
        "Term": "TERM",
        "Kind": "KIND",
        "Size": "SIZE",
        "RequestID": "REQUEST ID",
        "Changes": "CHANGES",
    },
    raw={
        "index": "Index",
        "term": "Term",
        "kind": "Kind",
        "size": "Size",
        "request_id": "RequestID",
        "changes": "Changes",
    },
)


@command("dump", "List the entries of a stopped manager's log: kinds and ids only, no contents.")
@state_dir_option
@format_option
def dump(state_dir: Path, template: str) -> None:
    from pyswarm.cli.raft.entries import described

    print_listing(LISTING, [described(entry) for entry in inspect_stopped(state_dir).entries()], template, quiet=False)
