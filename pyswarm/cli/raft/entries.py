"""A log entry in words: kinds and ids only, since what was proposed holds secrets."""

from google.protobuf.message import DecodeError

from proto import store_pb2 as pb
from pyswarm.cli.template import Row
from raft import Change, LoggedEntry

_VERBS = {number: name.lower() for name, number in pb.Change.Kind.items()}


def described(entry: LoggedEntry) -> Row:
    match entry.body:
        case None:
            kind, changes = "leader", ""
        case Change():
            kind, changes = "member", _member_change(entry.body)
        case command:
            kind, changes = "store", _store_changes(command)
    return Row(
        Index=entry.index,
        Term=entry.term,
        Kind=kind,
        Size=entry.size,
        RequestID=entry.request_id.hex(),
        Changes=changes,
    )


def _member_change(change: Change) -> str:
    if change.remove:
        return f"remove {change.peer.node_id}"
    return f"{'learner' if change.peer.learner else 'voter'} {change.peer.node_id} {change.peer.addr}"


def _store_changes(command: bytes) -> str:
    try:
        entry = pb.StoreEntry.FromString(command)
    except DecodeError:
        return "not readable"
    return ", ".join(map(_store_change, entry.changes))


def _store_change(change: pb.Change) -> str:
    verb, kind = _VERBS.get(change.kind, "unknown"), change.WhichOneof("object")
    return verb if kind is None else f"{verb} {kind} {getattr(change, kind).id}"
