"""What is to be looked at: now, or at a time."""

from collections import deque
from collections.abc import Hashable, Iterable
from heapq import heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Worklist(Generic[T]):
    """First in, first out. What is waiting already is not added a second time."""

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._queue: deque[T] = deque()
        self._waiting: set[T] = set()
        self.extend(items)

    def __bool__(self) -> bool:
        return bool(self._queue)

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, item: T) -> None:
        if item not in self._waiting:
            self._waiting.add(item)
            self._queue.append(item)

    def extend(self, items: Iterable[T]) -> None:
        for item in items:
            self.add(item)

    def pop(self) -> T:
        item = self._queue.popleft()
        self._waiting.discard(item)
        return item


class Alarms(Generic[T]):
    """Things to look at when their time has come. Each has one time, the one it was given last."""

    def __init__(self) -> None:
        self._times: dict[T, int] = {}
        self._heap: list[tuple[int, int, T]] = []
        self._serial = 0

    def set(self, item: T, time: int) -> None:
        """`time` in ns."""
        if self._times.get(item) == time:
            return
        self._times[item] = time
        self._serial += 1
        heappush(self._heap, (time, self._serial, item))

    def clear(self, item: T) -> None:
        self._times.pop(item, None)

    def take_due(self, now: int) -> list[T]:
        """Those whose time has come; they are no longer set."""
        due = []
        while (time := self.next) is not None and time <= now:
            item = heappop(self._heap)[2]
            del self._times[item]
            due.append(item)
        return due

    @property
    def next(self) -> int | None:
        """The earliest time (ns), None if nothing is set."""
        while self._heap:
            time, _, item = self._heap[0]
            if self._times.get(item) == time:
                return time
            heappop(self._heap)
        return None
