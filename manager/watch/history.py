"""The last changes of every kind of object, by version: what a watcher can still catch up with. Pure."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, takewhile

from core.errors import FailedPrecondition
from core.model import Config, Secret, StoreObject
from core.model.dependencies import with_data
from manager.store import Commit, Event, Kind
from manager.watch.selector import ALL_KINDS

KEPT = 8192
"""Changes of each kind: tasks are many, and must not push out the others."""


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


class VersionLost(FailedPrecondition):
    def __init__(self, version: int, oldest: int) -> None:
        super().__init__(
            f"cannot resume after version {version}: changes are known after version {oldest} only; "
            f"list the objects again, and watch from the version of that list"
        )


class History:
    def __init__(self, version: int, kept: int = KEPT) -> None:
        """`version`: of the state that it begins with."""
        self.version = version
        """Of the last entry that was taken."""
        self._kept = kept
        self._rings: dict[Kind, deque[_Kept]] = {}
        self._oldest: dict[Kind, int] = {}
        self._begin(version)

    def take(self, commit: Commit) -> None:
        """A snapshot says nothing of what led to it: the history begins anew."""
        self.version = commit.index
        if commit.restored:
            self._begin(commit.index)
        for position, event in enumerate(commit.events):
            kind = type(event.object)
            ring = self._rings[kind]
            if len(ring) == self._kept:
                self._oldest[kind] = ring.popleft().order[0]
            ring.append(_Kept((commit.index, position), commit.at, _without_data(event)))

    def after(self, version: int, kinds: Iterable[Kind]) -> list[Changes]:
        """All changes of `kinds` after `version`. Raises VersionLost if some are not known any more."""
        wanted = list(kinds)
        oldest = max((self._oldest[kind] for kind in wanted), default=0)
        if version < oldest:
            raise VersionLost(version, oldest)
        return self._collect(wanted, lambda kept: kept.order[0] > version)

    def since(self, at: int, kinds: Iterable[Kind]) -> list[Changes]:
        """Those changes of `kinds` that are still known and were proposed at `at` or later."""
        return self._collect(kinds, lambda kept: kept.at >= at)

    def _collect(self, kinds: Iterable[Kind], recent: Callable[[_Kept], bool]) -> list[Changes]:
        tails = (reversed(list(takewhile(recent, reversed(self._rings[kind])))) for kind in kinds)
        found = []
        for version, entry in groupby(merge(*tails, key=lambda kept: kept.order), lambda kept: kept.order[0]):
            whole = list(entry)
            found.append(Changes(version, whole[0].at, tuple(kept.event for kept in whole)))
        return found

    def _begin(self, version: int) -> None:
        self._rings = {kind: deque() for kind in ALL_KINDS}
        self._oldest = dict.fromkeys(ALL_KINDS, version)


def _without_data(event: Event) -> Event:
    """A secret that was removed is not kept, nor the megabytes that configs may have."""
    if not isinstance(event.object, Secret | Config):
        return event
    old: StoreObject | None = event.old
    if isinstance(old, Secret | Config):
        old = with_data(old, b"")
    return Event(event.kind, with_data(event.object, b""), old)
