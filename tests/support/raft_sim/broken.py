"""Each rule of ours taken out, by its hole's id. For tests only: without its rule something must fail."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any
from unittest import mock

from pysyncobj import SyncObjConf

from raft.consensus import RaftNode
from raft.engine import core, proposing
from raft.engine.core import Core
from raft.guard import Action, Deliver, Guard
from raft.ledger import Ledger
from raft.membership import Membership
from raft.messages import Append, AppendReply, Heartbeat, Install, Message, VoteReply
from raft.proposals import Proposals
from raft.storage import state
from raft.storage.journal import Journal
from raft.storage.snapshot import Snapshot

Patch = tuple[Any, str, Callable[..., Any]]
_guard, _send = Guard.__init__, Guard.send
_append, _append_reply, _from_leader = Guard._append, Guard._append_reply, Guard._from_leader
_journal_sync, _membership = Journal.sync, state._membership
_FOUNDING = 2
"""Configurations that a new log holds: none, and its first member."""


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


def _writes_only(journal: Journal) -> None:
    sync, journal._sync = journal._sync, _does_nothing
    try:
        _journal_sync(journal)
    finally:
        journal._sync = sync


def _swallows(journal: Journal) -> None:
    sync = journal._sync

    def try_to(descriptor: int) -> None:
        with suppress(OSError):
            sync(descriptor)

    journal._sync = try_to
    try:
        _journal_sync(journal)
    finally:
        journal._sync = sync


def _without_the_last_change(journal: Journal, snapshot: Snapshot | None) -> Membership:
    membership = _membership(journal, snapshot)
    if len(membership._history) > _FOUNDING:
        membership._history.pop()
    return membership


def _never_falls_back(**settings: Any) -> SyncObjConf:
    return SyncObjConf(**settings | {"leaderFallbackTimeout": 1e9})


def _promised_nothing(guard: Guard, *known: Any) -> None:
    _guard(guard, *known)
    guard._leader_heard = -(1 << 62)


def _sends_as_before(guard: Guard, receiver: str, message: Message, now: int) -> Message:
    sent = _send(guard, receiver, message, now)
    guard._handed_over_term = 0
    return sent


def _applies_again(_: Ledger, request_id: bytes) -> None:
    return None


RULES: dict[str, tuple[Patch, ...]] = {
    "S1": ((Guard, "_append_reply", _any_term_counts),),
    "S2": ((Guard, "_append", _as_it_comes),),
    "S3 beside a snapshot": ((Guard, "_from_leader", _heartbeat_commits),),
    "S3 beside entries": ((Guard, "_append", _commits_all),),
    "S4": ((Guard, "_install", _installs_all),),
    "S5": ((state, "_align", _forgets_the_tail),),
    "S6": ((proposing, "check_change", _does_nothing),),
    "S7": ((RaftNode, "_fail", _does_nothing),),
    "S8": ((Journal, "sync", _writes_only),),
    "S9": ((Core, "_raise_failure", _does_nothing),),
    "S10": ((state, "_membership", _without_the_last_change),),
    "S11": ((Guard, "_vote_reply", _counts_every_vote),),
    "L1 PreVote": ((Guard, "pre_vote", _does_nothing),),
    "L1 stickiness": ((Guard, "leader_alive", _never), (Guard, "_leader_expected", _never)),
    "L1 CheckQuorum": ((core, "SyncObjConf", _never_falls_back),),
    "L1 silence after a start": ((Guard, "__init__", _promised_nothing),),
    "L1 lease ends with a handing over": ((Guard, "send", _sends_as_before),),
    "L2": ((Guard, "_from_leader", _is_silent),),
    "L3": ((Proposals, "restored", _does_nothing),),
    "L4": ((Journal, "sync", _swallows),),
    "L5": ((Guard, "_append_reply", _goes_back_each_time),),
}
"""Held by a scenario of the same id."""
OF_THE_FUZZ: dict[str, tuple[Patch, ...]] = {
    "a read proves that it is the latest": ((Proposals, "confirm_read", _returns_at_once),),
    "a request is applied once": ((Ledger, "index_of", _applies_again),),
}
"""Held by the seeds."""


@contextmanager
def without(patches: tuple[Patch, ...]) -> Iterator[None]:
    with ExitStack() as broken:
        for target, name, instead in patches:
            broken.enter_context(mock.patch.object(target, name, instead))
        yield
