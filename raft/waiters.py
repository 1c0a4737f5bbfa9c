"""Who waits for which proposal, and how each wait ends. On the loop; no I/O."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import PyswarmError


@dataclass(slots=True)
class _Waiter:
    future: "asyncio.Future[int]"
    index: int = 0
    """Where it stands in the log; 0: not written yet."""


class Waiters:
    def __init__(self) -> None:
        self._waiting: dict[bytes, _Waiter] = {}

    def add(self, request_id: bytes) -> "tuple[asyncio.Future[int], bool]":
        """What resolves to the index, and whether this request is new here."""
        held = self._waiting.get(request_id)
        if held is not None:
            return held.future, False
        waiter = _Waiter(asyncio.get_running_loop().create_future())
        waiter.future.add_done_callback(lambda done: self._forget(request_id, done))
        self._waiting[request_id] = waiter
        return waiter.future, True

    def waiting(self) -> list[bytes]:
        return list(self._waiting)

    def written(self, request_id: bytes, index: int) -> None:
        if request_id in self._waiting:
            self._waiting[request_id].index = index

    def resolve(self, request_id: bytes, index: int) -> None:
        waiter = self._waiting.get(request_id)
        if waiter is not None and not waiter.future.done():
            waiter.future.set_result(index)

    def fail(self, request_id: bytes, error: PyswarmError) -> None:
        waiter = self._waiting.get(request_id)
        if waiter is not None and not waiter.future.done():
            waiter.future.set_exception(error)

    def fail_written(self, up_to: int, error: Callable[[], PyswarmError]) -> None:
        """Those that stand in the log at or before `up_to`."""
        for request_id, waiter in list(self._waiting.items()):
            if 0 < waiter.index <= up_to and not waiter.future.done():
                self.fail(request_id, error())

    def fail_all(self, error: Callable[[], PyswarmError]) -> None:
        for request_id in list(self._waiting):
            self.fail(request_id, error())

    def _forget(self, request_id: bytes, done: "asyncio.Future[int]") -> None:
        if not done.cancelled():
            done.exception()  # the last waiter may have gone: its error is nobody's then
        waiter = self._waiting.get(request_id)
        if waiter is not None and waiter.future is done:
            del self._waiting[request_id]
