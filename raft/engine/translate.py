"""Our typed messages <-> the dicts the engine speaks."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from raft.messages import (
    Append,
    AppendReply,
    Heartbeat,
    Install,
    Message,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)

Dict = dict[str, Any]
_PART_BYTES = 128 << 10


def to_engine(message: Message) -> Dict:
    match message:
        case Append():
            return {
                "type": "append_entries",
                "term": message.term,
                "commit_index": message.commit_index,
                "prevLogIdx": message.prev_index,
                "prevLogTerm": message.prev_term,
                "entries": message.entries,
            }
        case Heartbeat():
            return _without_entries(message.term, message.commit_index, None)
        case Install():
            return _without_entries(message.term, 0, (b"", True, True))
        case AppendReply():
            return {
                "type": "next_node_idx",
                "next_node_idx": message.next_index,
                "success": message.success,
                "reset": message.reset,
            }
        case VoteRequest():
            return vote_request(message.term, message.last_index, message.last_term)
        case VoteReply():
            return {"type": "response_vote", "term": message.term}
        case TimeoutNow():
            return {"type": "timeout_now", "term": message.term}
    raise AssertionError(f"{type(message).__name__} is not for the engine")


def vote_request(term: int, last_index: int = 0, last_term: int = 0) -> Dict:
    """With an empty log it wins no vote, and only tells the engine of the term."""
    return {"type": "request_vote", "term": term, "last_log_index": last_index, "last_log_term": last_term}


def from_engine(message: Dict, term: int) -> Message | None:
    """None for what never leaves: the engine's own forwarding of commands, and an append that starts nowhere."""
    match message["type"]:
        case "append_entries" if "prevLogIdx" not in message:
            return Heartbeat(term, message["commit_index"])
        case "append_entries":
            if message["prevLogIdx"] is None:
                return None
            entries = tuple(message["entries"])
            return Append(term, message["prevLogIdx"], message["prevLogTerm"], message["commit_index"], entries)
        case "next_node_idx":
            return AppendReply(term, message["next_node_idx"], message["success"], message["reset"])
        case "request_vote":
            return VoteRequest(term, message["last_log_index"], message["last_log_term"])
        case "response_vote":
            return VoteReply(term)
        case "timeout_now":
            return TimeoutNow(term)
    return None


def parts(message: Append) -> Iterator[Append]:
    """The same in small messages: what else has to be done comes in between, and small ones are cheaper by the byte."""
    first = size = 0
    for position, entry in enumerate(message.entries):
        size += len(entry.command)
        if size >= _PART_BYTES:
            yield _part(message, first, position + 1)
            first, size = position + 1, 0
    if first < len(message.entries) or not message.entries:
        yield _part(message, first, len(message.entries))


def _part(message: Append, first: int, end: int) -> Append:
    before = message.entries[first - 1] if first else None
    prev_index, prev_term = (before.idx, before.term) if before else (message.prev_index, message.prev_term)
    return replace(message, prev_index=prev_index, prev_term=prev_term, entries=message.entries[first:end])


def wants_snapshot(message: Dict) -> bool:
    return message["type"] == "append_entries" and "prevLogIdx" not in message


def _without_entries(term: int, commit_index: int, serialized: object) -> Dict:
    return {"type": "append_entries", "term": term, "commit_index": commit_index, "serialized": serialized}
