"""Lines of many tasks by their times, as far as waiting a little for the slower ones allows. Pure."""

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush

from core.model import LogLine

WINDOW = 0.1
"""Seconds for which a line waits for earlier ones of other tasks."""
MAX_BYTES = 4 << 20
"""That are held at most: what is more goes on unordered."""


class TimeOrder:
    """Times of arrival are seconds on any clock that never goes back. A task's own lines always keep their order."""

    def __init__(self, window: float = WINDOW, max_bytes: int = MAX_BYTES) -> None:
        self._window = window
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waiting: list[tuple[int, int, LogLine]] = []
        """A heap. A key is the line's time, or that of its task's line before it if that is later; then its number."""
        self._arrived: deque[tuple[float, int]] = deque()
        """When each line came, and its key, until it has waited for long enough."""
        self._reached: dict[str, int] = {}
        """Task id -> key of its last line."""
        self._due = -1
        """Up to this key lines have waited for long enough."""
        self._number = 0

    def add(self, lines: Iterable[LogLine], now: float) -> None:
        for line in lines:
            key = max(line.timestamp, self._reached.get(line.task_id, 0))
            self._reached[line.task_id] = key
            self._number += 1
            self._bytes += len(line.data)
            heappush(self._waiting, (key, self._number, line))
            self._arrived.append((now, key))

    def take(self, now: float, tasks: Iterable[str]) -> list[LogLine]:
        """What may go on: lines that every one of `tasks`, from which more may come, has gone past, and those that have
        waited for long enough."""
        while self._arrived and self._arrived[0][0] <= now - self._window:
            self._due = max(self._due, self._arrived.popleft()[1])
        passed = min((self._reached.get(task_id, -1) for task_id in tasks), default=None)
        return self._pop(None if passed is None else max(self._due, passed))

    def rest(self) -> list[LogLine]:
        """Everything: no more will come."""
        return self._pop(None)

    @property
    def deadline(self) -> float | None:
        """When the line that has waited longest has waited for long enough."""
        return self._arrived[0][0] + self._window if self._waiting else None

    def _pop(self, bound: int | None) -> list[LogLine]:
        """The lines up to the key `bound`, or all; and those for which there is no room."""
        lines = []
        while self._waiting and (bound is None or self._waiting[0][0] <= bound or self._bytes > self._max_bytes):
            line = heappop(self._waiting)[2]
            self._bytes -= len(line.data)
            lines.append(line)
        if not self._waiting:
            self._arrived.clear()
        return lines
