"""Writing to the store: transactions become log entries, those that arrive together become one."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from core.clock import Clock
from manager.store import Store, Transaction, encode_entry
from raft import Consensus

T = TypeVar("T")

_MOST_CHANGES = 2_000
"""Changes in one entry. An entry must stay below the log's limit of 1 MiB; the rest waits for the next one."""


@dataclass(frozen=True, slots=True)
class _Request:
    decide: Callable[[Transaction], Any]
    done: "asyncio.Future[Any]"


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

    async def update(self, decide: Callable[[Transaction], T]) -> T:
        """What `decide` returned, once what it wrote is committed and applied here.

        `decide` is called once, without a pause, and must only read and write its transaction. If it raises, it leaves
        no trace and the error is the caller's. Objects it wrote get their versions when they are applied: read them
        again for those. Raises what Consensus.propose raises.
        """
        request = _Request(decide, asyncio.get_running_loop().create_future())
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

    async def _round(self) -> None:
        decided, changes = self._decide()
        if not changes:
            _finish(decided)
            return
        now = self._clock.now()
        request_id = secrets.token_bytes(16)
        self._store.expect(request_id, changes, now)
        try:
            await self._consensus.propose(encode_entry(changes, now, self._store.spec), request_id)
        except Exception as error:
            self._store.forget(request_id)
            for request, _ in decided:
                if not request.done.done():
                    request.done.set_exception(error)
            return
        _finish(decided)

    def _decide(self) -> tuple[list[tuple[_Request, Any]], list[Any]]:
        """Runs the waiting functions; those that raised have been told. The store is as it was before."""
        transaction = self._store.transaction()
        decided: list[tuple[_Request, Any]] = []
        taken = 0
        try:
            for request in self._waiting:
                if transaction.mark > _MOST_CHANGES:
                    break
                taken += 1
                mark = transaction.mark
                try:
                    decided.append((request, request.decide(transaction)))
                except Exception as error:
                    transaction.rollback(mark)
                    if not request.done.done():
                        request.done.set_exception(error)
            return decided, transaction.changes()
        finally:
            transaction.rollback()
            del self._waiting[:taken]


def _finish(decided: list[tuple[_Request, Any]]) -> None:
    for request, result in decided:
        if not request.done.done():
            request.done.set_result(result)
