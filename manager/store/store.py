"""The replicated state of the cluster, in memory: what the log's entries have made of it."""

from collections.abc import Callable, Iterator, Sequence

from core.model import Meta
from manager.store.entry import decode_entry, made_whole
from manager.store.events import Commit, Event, EventKind
from manager.store.snapshot import Frozen, thaw
from manager.store.stamp import changed
from manager.store.tables import Tables
from manager.store.transaction import Change, Transaction
from manager.store.view import View

Watcher = Callable[[Commit], None]


class Store(View):
    """The log's state machine. Watchers are called in the order of the log, after each entry has been applied whole,
    so that a look followed by a watch, with no pause between, misses nothing."""

    def __init__(self) -> None:
        super().__init__(Tables())
        self.index = 0
        """Of the last entry applied."""
        self._watchers: list[Watcher] = []
        self._own: dict[bytes, tuple[Sequence[Change], int]] = {}

    def watch(self, callback: Watcher) -> Callable[[], None]:
        """Calls `callback` after every entry; returns what ends it. It must not raise, and not write."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def copy(self) -> Callable[[], Transaction]:
        """Makes, in whichever thread, a transaction on a copy of the store as it is now: nobody sees what it writes."""
        return Frozen(self._tables).transaction

    def transaction(self) -> Transaction:
        """To be rolled back before anyone else looks: see manager.store.transaction."""
        return Transaction(self._tables)

    def expect(self, request_id: bytes, changes: Sequence[Change], proposed_at: int) -> None:
        """The entry with `request_id` is one of ours: its objects need not be decoded again."""
        self._own[request_id] = (changes, proposed_at)

    def forget(self, request_id: bytes) -> None:
        self._own.pop(request_id, None)

    def apply(self, index: int, request_id: bytes, command: bytes) -> None:
        own = self._own.pop(request_id, None)
        changes, proposed_at = own if own is not None else decode_entry(command, self.spec)
        events = tuple(self._apply(change, index, proposed_at) for change in changes)
        self.index = index
        self._notify(Commit(index, events, at=proposed_at))

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        return Frozen(self._tables).chunks

    def thaw(self, index: int, chunks: Iterator[bytes]) -> Callable[[], None]:
        tables = thaw(chunks)

        def use() -> None:
            self._tables = tables
            self.index = index
            self._own.clear()
            self._notify(Commit(index, restored=True))

        return use

    def restore(self, index: int, chunks: Iterator[bytes]) -> None:
        """Replaces everything by what `freeze` once yielded."""
        self.thaw(index, chunks)()

    def _apply(self, change: Change, index: int, now: int) -> Event:
        item = change.object
        if change.kind is EventKind.DELETE:
            old = self._tables.remove(type(item), item.id)
            return Event(change.kind, old if old is not None else item, old)
        before = self._tables.get(type(item), item.id)
        item = made_whole(item, before)
        created_at = before.meta.created_at if before is not None else now
        stamped = changed(item, meta=Meta(index, created_at, now))
        return Event(change.kind, stamped, self._tables.put(stamped))

    def _notify(self, commit: Commit) -> None:
        for watcher in tuple(self._watchers):
            watcher(commit)
