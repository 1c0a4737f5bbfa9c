"""What the dispatcher writes to the store, in order: what comes together, or during a write, is one entry."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from core.errors import PyswarmError, Unavailable
from manager.replicator import Replicator
from manager.store import Transaction

MAX_SIZE = 96 << 10
"""Bytes of one update, estimated: an entry, which others may share, must stay below the log's limit."""
OBJECT_SIZE = 512
"""Bytes of a task or a node without its longer parts."""

Decide = Callable[[Transaction], None]


@dataclass(frozen=True, slots=True)
class _Write:
    decide: Decide
    size: int
    done: "asyncio.Future[None]"


class WriteQueue:
    def __init__(self, replicator: Replicator) -> None:
        self._replicator = replicator
        self._waiting: list[_Write] = []
        self._wake = asyncio.Event()

    def submit(self, decide: Decide, size: int = OBJECT_SIZE) -> "asyncio.Future[None]":
        """Calls `decide` on the newest state, after all that was submitted before. Done when it is committed.

        A `decide` that raises fails alone. Others fail with what the log raises, or with Unavailable.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Write(decide, size, done))
        self._wake.set()
        return done

    async def run(self) -> None:
        """Until cancelled; what was not written then has failed."""
        batch: list[_Write] = []
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while batch := self._next_batch():
                    await self._write(batch)
        finally:
            _finish([*batch, *self._waiting], Unavailable("this manager does not lead any more"))
            self._waiting.clear()

    def _next_batch(self) -> list[_Write]:
        size, count = 0, 0
        for write in self._waiting:
            if count and size + write.size > MAX_SIZE:
                break
            size, count = size + write.size, count + 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _write(self, batch: list[_Write]) -> None:
        try:
            refused = await self._replicator.update(partial(_decide_all, batch))
        except PyswarmError as error:
            _finish(batch, error)
            return
        for write, refusal in refused:
            _finish([write], refusal)
        _finish(batch, None)


def _decide_all(batch: Sequence[_Write], tx: Transaction) -> list[tuple[_Write, PyswarmError]]:
    refused = []
    for write in batch:
        mark = tx.mark
        try:
            write.decide(tx)
        except PyswarmError as error:
            tx.rollback(mark)
            refused.append((write, error))
    return refused


def _finish(writes: Sequence[_Write], error: PyswarmError | None) -> None:
    for write in writes:
        if write.done.done():
            continue
        if error is None:
            write.done.set_result(None)
        else:
            write.done.set_exception(error)
