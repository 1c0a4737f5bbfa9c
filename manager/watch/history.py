"""The last changes of every kind of object, by version: what a watcher can still catch up with. Pure."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, takewhile

from core.codec import encode
from core.errors import FailedPrecondition
from core.model import Config, Secret, StoreObject, Task, TaskSpec
from core.model.dependencies import with_data
from manager.store import Commit, Event, Kind
from manager.watch.selector import ALL_KINDS

KEPT = 8192
"""Changes of each kind: tasks are many, and must not push out the others."""
KEPT_SIZE = 16 << 20
"""Bytes of the changes of each kind, as they would be written: in memory they are several times as many."""
_TASK_SIZE = 512
"""Bytes of a task without its spec and the texts of its status."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one entry of the log changed, of what was asked for."""

    version: int
    """The entry's index, and the `meta.version` of what it wrote: a watch goes on after it."""
    at: int
    """When it was proposed, in nanoseconds since the epoch."""
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    order: tuple[int, int]
    """Version, and position in its entry."""
    at: int
    event: Event
    size: int


class VersionLost(FailedPrecondition):
    def __init__(self, version: int, oldest: int) -> None:
        super().__init__(
            f"cannot resume after version {version}: changes are known after version {oldest} only; "
            f"list the objects again, and watch from the version of that list"
        )


class History:
    def __init__(self, version: int, kept: int = KEPT, size: int = KEPT_SIZE) -> None:
        """`version`: of the state that it begins with. Of each kind the last `kept` changes are known, as far as they
        are within `size` bytes, and the newest in any case."""
        self.version = version
        """Of the last entry that was taken."""
        self._kept = kept
        self._size = size
        self._rings: dict[Kind, _Ring] = {}
        self._begin(version)

    def take(self, commit: Commit) -> None:
        """A snapshot says nothing of what led to it: the history begins anew."""
        self.version = commit.index
        if commit.restored:
            self._begin(commit.index)
        for position, event in enumerate(commit.events):
            self._rings[type(event.object)].add((commit.index, position), commit.at, _without_data(event))

    def after(self, version: int, kinds: Iterable[Kind]) -> list[Changes]:
        """All changes of `kinds` after `version`. Raises VersionLost if some are not known any more."""
        rings = [self._rings[kind] for kind in kinds]
        oldest = max((ring.oldest for ring in rings), default=0)
        if version < oldest:
            raise VersionLost(version, oldest)
        return _by_entry(ring.after(version) for ring in rings)

    def since(self, at: int, kinds: Iterable[Kind]) -> list[Changes]:
        """Those changes of `kinds` that are still known and were proposed at `at` or later. Times need not rise with
        versions: a new leader's clock may be behind the last one's."""
        return _by_entry([kept for kept in self._rings[kind].changes if kept.at >= at] for kind in kinds)

    def _begin(self, version: int) -> None:
        self._rings = {kind: _Ring(version, self._kept, self._size) for kind in ALL_KINDS}


class _Ring:
    """The last changes of one kind."""

    def __init__(self, version: int, most: int, most_size: int) -> None:
        self.oldest = version
        """All changes after this version are here."""
        self.changes: deque[_Kept] = deque()
        self._most = most
        self._most_size = most_size
        self._size = 0
        self._spec: TaskSpec | None = None
        """The last one whose size was counted: a service's tasks share theirs."""

    def add(self, order: tuple[int, int], at: int, event: Event) -> None:
        kept = _Kept(order, at, event, self._size_of(event))
        self._size += kept.size
        while self.changes and (len(self.changes) >= self._most or self._size > self._most_size):
            lost = self.changes.popleft()
            self._size -= lost.size
            self.oldest = lost.order[0]
        self.changes.append(kept)

    def after(self, version: int) -> list[_Kept]:
        return list(takewhile(lambda kept: kept.order[0] > version, reversed(self.changes)))[::-1]

    def _size_of(self, event: Event) -> int:
        """Of what came with the change: what was before came with the change before it."""
        item = event.object
        if not isinstance(item, Task):
            return int(encode(item).ByteSize())
        size = _TASK_SIZE + len(item.status.message) + len(item.status.err)
        has_new_spec = not isinstance(event.old, Task) or event.old.spec is not item.spec
        if has_new_spec and item.spec is not self._spec:
            self._spec = item.spec
            size += encode(item.spec).ByteSize()
        return size


def _by_entry(tails: Iterable[list[_Kept]]) -> list[Changes]:
    found = []
    for version, entry in groupby(merge(*tails, key=lambda kept: kept.order), lambda kept: kept.order[0]):
        whole = list(entry)
        found.append(Changes(version, whole[0].at, tuple(kept.event for kept in whole)))
    return found


def _without_data(event: Event) -> Event:
    """A secret that was removed is not kept, nor the megabytes that configs may have."""
    if not isinstance(event.object, Secret | Config):
        return event
    old: StoreObject | None = event.old
    if isinstance(old, Secret | Config):
        old = with_data(old, b"")
    return Event(event.kind, with_data(event.object, b""), old)
