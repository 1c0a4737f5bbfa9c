"""Lines on their way from nodes to one reader. A reader that is slow makes the nodes wait, not the memory grow."""

import asyncio
from collections.abc import Sequence

from core.model import LogLine

MAX_BYTES = 4 << 20


class LineBuffer:
    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.changed = asyncio.Event()
        """Set when there is something to take, and by whoever else has news for the reader."""
        self._max_bytes = max_bytes
        self._batches: list[Sequence[LogLine]] = []
        self._bytes = 0
        self._room = asyncio.Event()
        self.closed = False

    async def put(self, lines: Sequence[LogLine], size: int) -> None:
        """Waits until there is room for `size` bytes, or nobody reads any more."""
        while self._batches and self._bytes + size > self._max_bytes and not self.closed:
            self._room.clear()
            await self._room.wait()
        if not self.closed:
            self._batches.append(lines)
            self._bytes += size
            self.changed.set()

    def push(self, line: LogLine) -> None:
        """A line of our own: it does not wait."""
        self._batches.append([line])
        self.changed.set()

    def take(self) -> list[LogLine]:
        """All that is there."""
        lines = [line for batch in self._batches for line in batch]
        self._batches.clear()
        self._bytes = 0
        self._room.set()
        return lines

    def close(self) -> None:
        """Nobody reads any more: what comes is dropped."""
        self.closed = True
        self._batches.clear()
        self._room.set()
