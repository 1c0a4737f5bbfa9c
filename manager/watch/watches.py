"""Watching the store: every change that is asked for, once, in the order of the log."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from core.errors import InvalidArgument, Unavailable
from manager.store import Commit, Kind, Store
from manager.watch.history import Changes, History
from manager.watch.selector import Selector


class Watches:
    """All watchers of one manager's store. None has a queue: a slow one reads on where it was, as far as the history
    reaches."""

    def __init__(self, store: Store) -> None:
        self._history = History(store.index)
        self._waiting: set[asyncio.Event] = set()
        self._closed = False
        self._unwatch = store.watch(self._take)

    def close(self) -> None:
        """Every watch ends with Unavailable."""
        self._closed = True
        self._unwatch()
        self._wake()

    def past(self, selectors: Sequence[Selector], since: int) -> tuple[list[Changes], int]:
        """What is still known of the changes since `since` (nanoseconds since the epoch), and the version to `follow`
        from without a gap."""
        return _selected(self._history.since(since, _kinds(selectors)), selectors), self._history.version

    def follow(self, selectors: Sequence[Selector], after: int | None = None) -> AsyncGenerator[Changes, None]:
        """Changes that match one of `selectors`: those after the version `after`, without it those from now on. Each
        event has the object as it was before.

        Raises InvalidArgument for a version that is yet to come. The stream raises VersionLost (a FailedPrecondition)
        where changes are not known any more: the version is too old, the watcher too slow, or a snapshot came in the
        place of entries; and Unavailable when the manager stops.
        """
        newest = self._history.version
        if after is not None and after > newest:
            raise InvalidArgument(f"cannot resume after version {after}: the newest is {newest}")
        return self._follow(selectors, newest if after is None else after)

    async def _follow(self, selectors: Sequence[Selector], version: int) -> AsyncGenerator[Changes, None]:
        kinds, changed = _kinds(selectors), asyncio.Event()
        self._waiting.add(changed)
        try:
            while not self._closed:
                changed.clear()
                found, version = self._history.after(version, kinds), self._history.version
                for changes in _selected(found, selectors):
                    yield changes
                await changed.wait()
            raise Unavailable("this manager has stopped; watch another")
        finally:
            self._waiting.discard(changed)

    def _take(self, commit: Commit) -> None:
        self._history.take(commit)
        self._wake()

    def _wake(self) -> None:
        for changed in self._waiting:
            changed.set()


def _kinds(selectors: Sequence[Selector]) -> frozenset[Kind]:
    return frozenset[Kind]().union(*(selector.kinds for selector in selectors))


def _selected(found: Sequence[Changes], selectors: Sequence[Selector]) -> list[Changes]:
    chosen = (
        (changes, tuple(event for event in changes.events if any(s.matches(event) for s in selectors)))
        for changes in found
    )
    return [Changes(changes.version, changes.at, events) for changes, events in chosen if events]
