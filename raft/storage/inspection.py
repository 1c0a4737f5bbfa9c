"""Looks inside a stopped member's folder: everything in it is read and checked, nothing is changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import FailedPrecondition
from raft import codec
from raft.membership import Change
from raft.storage import state
from raft.storage.errors import reading
from raft.storage.journal import Contents
from raft.storage.keys import load_keys
from raft.storage.reader import owner_of


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    index: int
    term: int
    size: int
    """Bytes of the whole command."""
    request_id: bytes
    body: bytes | Change | None
    """What was proposed: a command of the state machine, a change of members, or a new leader's first entry."""


@dataclass(frozen=True, slots=True)
class SnapshotSummary:
    index: int
    """The last entry it covers."""
    term: int
    members: int
    chunks: int
    bytes: int
    """Of the chunks."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What a crash tore off: never completely written, so never acknowledged. The next start cuts it away."""

    path: Path
    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Inspection:
    cluster_id: str
    node_id: str
    incarnation: int
    term: int
    candidate: str
    """Whom it voted for in `term`, if anyone."""
    files: int
    records: int
    keys: int
    """More than one while a new data key takes over."""
    locked: bool
    snapshot: SnapshotSummary | None
    tail: Tail | None
    contents: Contents

    def entries(self) -> Iterator[LoggedEntry]:
        for entry in self.contents.entries:
            request_id, body = codec.decode_command(entry.command)
            yield LoggedEntry(entry.idx, entry.term, len(entry.command), request_id, body)


def inspect_log(folder: Path, unlock_key: bytes = b"") -> Inspection:
    """Raises DamagedState, UnreadableState, Locked, or FailedPrecondition: no log, another format."""
    with reading(folder):
        if not state.exists(folder):
            raise FailedPrecondition(f"{folder} holds no log: this node is not a manager, or never was one")
        owner = owner_of(folder)
        keys = load_keys(folder, unlock_key)
        found, snapshot = state.read(folder, owner.cluster_id, owner.node_id, keys)
        tear = found.tear
        tail = None if tear is None else Tail(tear.path, tear.offset, tear.path.stat().st_size - tear.offset)
    summary = None
    if snapshot is not None:
        sizes = [len(chunk) for chunk in snapshot.chunks()]
        members = len(snapshot.state.members)
        summary = SnapshotSummary(snapshot.index, snapshot.term, members, len(sizes), sum(sizes))
    return Inspection(
        cluster_id=owner.cluster_id,
        node_id=owner.node_id,
        incarnation=found.owner.incarnation,
        term=found.contents.term,
        candidate=found.contents.candidate,
        files=len(found.segments),
        records=sum(segment.frames for segment in found.segments),
        keys=keys.count,
        locked=keys.locked,
        snapshot=summary,
        tail=tail,
        contents=found.contents,
    )
