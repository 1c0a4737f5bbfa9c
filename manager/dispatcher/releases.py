"""The drain on the loop: one timer, set to when the next task may stop."""

import asyncio
from collections.abc import Callable, Iterable

from core.clock import SECOND, Clock
from manager.dispatcher.drain import Drain


class Releases:
    """`on_release` is called with each task that may stop now. See Drain for what is to be told."""

    def __init__(self, clock: Clock, on_release: Callable[[str], None]) -> None:
        self._clock = clock
        self._on_release = on_release
        self._drain = Drain()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, version: int, task_ids: Iterable[str], nodes: Iterable[str]) -> None:
        self._drain.begin(version, task_ids, nodes, self._clock.now())
        self._schedule()

    def acked(self, node_id: str, version: int) -> None:
        self._drain.acked(node_id, version, self._clock.now())
        self._schedule()

    def left(self, node_id: str) -> None:
        self._drain.left(node_id, self._clock.now())
        self._schedule()

    def is_waiting(self, task_id: str) -> bool:
        return self._drain.is_waiting(task_id)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        self.close()
        due = self._drain.next_due()
        if due is not None:
            delay = max(0, due - self._clock.now()) / SECOND
            self._timer = asyncio.get_running_loop().call_later(delay, self._release)

    def _release(self) -> None:
        for task_id in self._drain.release(self._clock.now()):
            self._on_release(task_id)
        self._schedule()
