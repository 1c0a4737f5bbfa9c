"""How long a member's event loop and its engine's thread are held at a time."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from raft import RaftNode

_TICK = 0.002

Times = tuple[float, float]
"""Of a thread: the monotonic clock, and its own processor time. Seconds."""


class Holds:
    """The longest since they were last taken, in ms: by the clock, and of the thread's own processor time. What lies
    between the two was spent on the disk, or waiting for the interpreter or a core."""

    def __init__(self, node: RaftNode) -> None:
        self._longest: dict[str, float] = {}
        self._loop = asyncio.create_task(self._watch_loop())
        self._watch_engine(node)

    def take(self) -> dict[str, float]:
        longest, self._longest = self._longest, {}
        return {name: round(ms, 1) for name, ms in longest.items()}

    async def _watch_loop(self) -> None:
        while True:
            begin = _times()
            await asyncio.sleep(_TICK)
            self._note("loop", begin, slept=_TICK)

    def _watch_engine(self, node: RaftNode) -> None:
        """From when its thread has events in hand until it asks for more."""
        inbox = node._engine._inbox
        take: Callable[[float], list[Any]] = inbox.take
        begin: Times | None = None

        def watched(wait: float) -> list[Any]:
            nonlocal begin
            if begin is not None:
                self._note("engine", begin)
            found = take(wait)
            begin = _times()
            return found

        inbox.take = watched  # type: ignore[method-assign]

    def _note(self, name: str, begin: Times, slept: float = 0.0) -> None:
        now = _times()
        for key, seconds in ((f"{name}_ms", now[0] - begin[0] - slept), (f"{name}_cpu_ms", now[1] - begin[1])):
            self._longest[key] = max(self._longest.get(key, 0.0), 1000 * seconds)


def _times() -> Times:
    return time.monotonic(), time.thread_time()
