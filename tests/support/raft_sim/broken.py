"""Each rule of ours taken out, by its hole's id. For tests only: without its rule something must fail."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from raft.consensus import RaftNode
from raft.engine.core import Core
from raft.guard import Action, Deliver, Guard
from raft.membership import Configuration, Membership
from raft.messages import Append, AppendReply, Heartbeat, Install, VoteReply
from raft.proposals import Proposals
from raft.storage import state
from raft.storage.journal import Journal
from raft.storage.snapshot import Snapshot

Patch = tuple[Any, str, Callable[..., Any]]
_append, _append_reply, _from_leader = Guard._append, Guard._append_reply, Guard._from_leader


def _any_term_counts(guard: Guard, sender: str, message: AppendReply, now: int) -> list[Action]:
    return _append_reply(guard, sender, replace(message, term=guard._view.term), now)


def _as_it_comes(guard: Guard, message: Append) -> list[Action]:
    guard._ack_limit = None
    verified = message.prev_index + len(message.entries)
    return [Deliver(replace(message, commit_index=min(message.commit_index, verified)))]


def _commits_all(guard: Guard, message: Append) -> list[Action]:
    actions = _append(guard, message)
    return [
        Deliver(replace(action.message, commit_index=message.commit_index))
        if isinstance(action, Deliver) and isinstance(action.message, Append)
        else action
        for action in actions
    ]


def _heartbeat_commits(guard: Guard, message: Append | Heartbeat | Install, now: int) -> list[Action]:
    actions = _from_leader(guard, message, now)
    if isinstance(message, Heartbeat) and message.term >= guard._view.term:
        return [Deliver(message), *actions[1:]]
    return actions


def _installs_all(guard: Guard, message: Install) -> list[Action]:
    return [Deliver(message)]


def _forgets_the_tail(journal: Journal, snapshot: Snapshot, *_: object) -> None:
    if journal.entries[0].idx != snapshot.index - 1:
        journal.restart(list(state.ends(snapshot)))
        journal.sync()


def _does_nothing(*_: object) -> None:
    return None


def _as_of_the_snapshot(_: Journal, snapshot: Snapshot | None) -> Membership:
    return Membership(Configuration() if snapshot is None else state.codec.decode_configuration(snapshot.state))


def _counts_every_vote(_: Guard, sender: str, message: VoteReply) -> list[Action]:
    return [Deliver(message)]


def _never(*_: object) -> bool:
    return False


def _is_silent(guard: Guard, message: Append | Heartbeat | Install, now: int) -> list[Action]:
    return [] if message.term < guard._view.term else _from_leader(guard, message, now)


def _goes_back_each_time(guard: Guard, sender: str, message: AppendReply, now: int) -> list[Action]:
    guard._rewound.clear()
    return _append_reply(guard, sender, message, now)


async def _returns_at_once(_: Proposals) -> None:
    return None


RULES: dict[str, tuple[Patch, ...]] = {
    "S1": ((Guard, "_append_reply", _any_term_counts),),
    "S2": ((Guard, "_append", _as_it_comes),),
    "S3 beside a snapshot": ((Guard, "_from_leader", _heartbeat_commits),),
    "S3 beside entries": ((Guard, "_append", _commits_all),),
    "S4": ((Guard, "_install", _installs_all),),
    "S5": ((state, "_align", _forgets_the_tail),),
    "S6": (("raft.engine.engine", "check_change", _does_nothing),),
    "S7": ((RaftNode, "_fail", _does_nothing),),
    "S8": ((Journal, "sync", _does_nothing),),
    "S9": ((Core, "_raise_failure", _does_nothing),),
    "S10": ((state, "_membership", _as_of_the_snapshot),),
    "S11": ((Guard, "_vote_reply", _counts_every_vote),),
    "L1 PreVote": ((Guard, "pre_vote", _does_nothing), (Guard, "leader_alive", _never)),
    "L2": ((Guard, "_from_leader", _is_silent),),
    "L5": ((Guard, "_append_reply", _goes_back_each_time),),
    "reads": ((Proposals, "confirm_read", _returns_at_once),),
}
