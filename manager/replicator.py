"""Writing to the store: transactions become log entries, those that arrive together become one."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from core.clock import Clock
from core.codec import dump
from core.errors import NotLeader, UnknownOutcome
from core.model import StoreObject, Task
from manager.store import Change, Event, Store, Transaction, encode_entry
from raft import Consensus

T = TypeVar("T")

_FULL = 256 << 10
"""Bytes of changes after which no more writers are let into an entry. The log takes entries below 1 MiB."""
_OVERFULL = 512 << 10
"""A writer that would take a shared entry beyond this waits, to have the next one for itself."""


@dataclass(frozen=True, slots=True)
class _Request:
    decide: Callable[[Transaction], Any]
    done: "asyncio.Future[Any]"
    last: bool


@dataclass(frozen=True, slots=True)
class _Round:
    """What one entry will carry."""

    decided: Sequence[tuple[_Request, Any]]
    changes: Sequence[Change]


class Replicator:
    """One proposal is in flight at a time. Those who write meanwhile are gathered: their functions then run one after
    another on the newest state, each seeing what those before it wrote, and one entry carries it all. So nobody decides
    on a state that is out of date, an idle cluster answers after one round, and a busy one shares its rounds.
    """

    def __init__(self, store: Store, consensus: Consensus, clock: Clock) -> None:
        self._store = store
        self._consensus = consensus
        self._clock = clock
        self._waiting: list[_Request] = []
        self._writing: asyncio.Task[None] | None = None
        self._unsettled = False
        """An entry of ours may still be applied: what we would decide on may not be the newest state."""

    async def update(self, decide: Callable[[Transaction], T], *, last: bool = False) -> T:
        """What `decide` returned, once what it wrote is committed and applied here.

        `decide` runs without a pause, and must only read and write its transaction: it may be run again if its entry
        becomes too large. If it raises, it leaves no trace and the error is the caller's. Objects it wrote get their
        versions when they are applied: read them again for those. Raises what Consensus.propose raises.

        One that is `last` runs exactly once, after all others of its entry: nothing is written between what it sees
        and the next commit.
        """
        request = _Request(decide, asyncio.get_running_loop().create_future(), last)
        request.done.add_done_callback(_look_at)
        self._waiting.append(request)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        result: T = await asyncio.shield(request.done)
        return result

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._round()
        finally:
            self._writing = None
            # Only if this task was cancelled, as its loop ends: nobody will ever answer.
            for request in self._waiting:
                request.done.cancel()

    async def _round(self) -> None:
        try:
            self._check_leadership()
            await self._settle()
        except Exception as error:
            waiting, self._waiting = self._waiting, []
            _fail(waiting, error)
            return
        round_ = self._decide()
        requests = [request for request, _ in round_.decided]
        try:
            if round_.changes:
                await self._propose(round_.changes)
        except Exception as error:
            _fail(requests, error)
        except BaseException:
            _cancel(requests)
            raise
        else:
            for request, result in round_.decided:
                if not request.done.done():
                    request.done.set_result(result)

    def _check_leadership(self) -> None:
        """A follower's state may be old: no one decides on it."""
        leadership = self._consensus.leadership
        if not leadership.is_leader:
            raise NotLeader(leadership.leader_addr)

    async def _settle(self) -> None:
        """After an entry of unknown outcome: once an empty one behind it is applied, it has been too, or never will."""
        if self._unsettled:
            await self._propose(())
            self._unsettled = False

    async def _propose(self, changes: Sequence[Change]) -> None:
        now = self._clock.now()
        request_id = secrets.token_bytes(16)
        self._store.expect(request_id, changes, now)
        try:
            await self._consensus.propose(encode_entry(changes, now, self._store.spec), request_id)
        except UnknownOutcome:
            self._unsettled = True
            raise
        finally:
            self._store.forget(request_id)

    def _decide(self) -> _Round:
        """Runs the waiting functions; those that raised are told. The store is as it was before."""
        requests, self._waiting = sorted(self._waiting, key=lambda request: request.last), []
        transaction = self._store.transaction()
        decided: list[tuple[_Request, Any]] = []
        load = _Load()
        try:
            for request in requests:
                mark = transaction.mark
                if load.total > (_OVERFULL if request.last else _FULL):
                    self._waiting.append(request)
                    continue
                try:
                    result = request.decide(transaction)
                except Exception as error:
                    transaction.rollback(mark)
                    _fail((request,), error)
                    continue
                if load.take(transaction.events_since(mark), whatever=request.last):
                    decided.append((request, result))
                else:
                    transaction.rollback(mark)
                    self._waiting.append(request)
            return _Round(decided, transaction.changes())
        finally:
            transaction.rollback()


class _Load:
    """About how many bytes the changes of a transaction take in an entry."""

    def __init__(self) -> None:
        self.total = 0
        self._sizes: dict[str, int] = {}

    def take(self, events: Iterable[Event], whatever: bool) -> bool:
        """Adds the events' objects if there is room for them, if there is nothing else, or `whatever` that makes."""
        sizes = {
            object_id: _size(item) for object_id, item in {event.object.id: event.object for event in events}.items()
        }
        growth = sum(size - self._sizes.get(object_id, 0) for object_id, size in sizes.items())
        if self.total and growth and self.total + growth > _OVERFULL and not whatever:
            return False
        self.total += growth
        self._sizes |= sizes
        return True


def _size(item: StoreObject) -> int:
    """Tasks are many and much alike: theirs is reckoned."""
    if isinstance(item, Task):
        status = item.status
        return 256 + len(status.message) + len(status.err) + 32 * (len(item.ports) + len(status.ports))
    # A service's task spec may travel a second time, for its tasks.
    return 2 * len(dump(item))


def _look_at(done: "asyncio.Future[Any]") -> None:
    """Whoever waited may have given up: its error is nobody's then."""
    if not done.cancelled():
        done.exception()


def _fail(requests: Iterable[_Request], error: Exception) -> None:
    for request in requests:
        if not request.done.done():
            request.done.set_exception(error)


def _cancel(requests: Iterable[_Request]) -> None:
    for request in requests:
        request.done.cancel()
