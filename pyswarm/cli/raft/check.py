"""`raft check`: whether a manager would start with the log it has."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyswarm.cli.commands import command
from pyswarm.cli.output import aligned
from pyswarm.cli.raft.stopped import inspect_stopped, state_dir_option

if TYPE_CHECKING:
    from raft import Inspection


@command("check", "Read a stopped manager's log and say whether it is whole. Nothing is changed.")
@state_dir_option
def check(state_dir: Path) -> None:
    found = inspect_stopped(state_dir)
    for line in aligned([("", name, value) for name, value in _summary(found).items()]):
        click.echo(line.strip())
    click.echo("The log is whole.")


def _summary(found: "Inspection") -> dict[str, str]:
    entries, snapshot, tail = found.contents.entries, found.snapshot, found.tail
    vote = f", voted for {found.candidate}" if found.candidate else ""
    lines = {
        "Cluster": found.cluster_id,
        "Node": found.node_id,
        "Term": f"{found.term}{vote}",
        "Entries": f"{entries[0].idx} to {entries[-1].idx}, of the terms {entries[0].term} to {entries[-1].term}",
        "Snapshot": "none",
        "Files": f"{found.files}, with {found.records} records",
        "Data key": "locked" if found.locked else "in clear",
    }
    if snapshot is not None:
        lines["Snapshot"] = (
            f"of the entries up to {snapshot.index}, of the term {snapshot.term}: {snapshot.members} managers, "
            f"{snapshot.bytes} bytes in {snapshot.chunks} chunks"
        )
    if found.keys > 1:
        lines["Data key"] += "; a new one takes over when the daemon runs"
    if tail is not None:
        lines["Torn end"] = (
            f"{tail.path}: {tail.bytes} bytes from byte {tail.offset} on were never completely written, "
            f"and so never acknowledged; the next start cuts them away"
        )
    return lines
