"""A set of changes that is made whole or not at all.

A transaction works on the store's own tables, so that every look sees its writes through every index, and is rolled
back as soon as its changes are known; nobody can look in between. What it changed becomes real when the log entry that
carries it is applied.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from core.errors import AlreadyExists, FailedPrecondition, NotFound, OutOfSequence
from core.model import Meta, StoreObject, Task, TaskState
from manager.store.events import Event, EventKind
from manager.store.stamp import changed
from manager.store.tables import Kind, Tables, name_of
from manager.store.view import View

T = TypeVar("T", bound=StoreObject)

PENDING = 0
"""The version of an object that was changed but not committed: no stored object has it."""


class Change(NamedTuple):
    """What one object comes to in the end."""

    kind: EventKind
    object: StoreObject


class Transaction(View):
    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self._events: list[Event] = []

    def create(self, item: StoreObject) -> None:
        """Raises AlreadyExists if its id or its name is taken."""
        if self._tables.get(type(item), item.id) is not None:
            raise AlreadyExists(f"{_noun(type(item))} {item.id} already exists")
        self._check_name(item)
        self._write(Event(EventKind.CREATE, _pending(item)))

    def update(self, item: StoreObject) -> None:
        """Raises OutOfSequence unless `item` was made from the object as it now is, NotFound if there is none, and
        FailedPrecondition for a task whose observed or desired state would go back."""
        old = self._tables.get(type(item), item.id)
        if old is None:
            raise NotFound(f"{_noun(type(item))} {item.id} not found")
        if old.meta.version != item.meta.version:
            raise OutOfSequence
        self._replace(old, _pending(item))

    def change(self, item: T, **values: object) -> T:
        """`update` with `item` as it is but for these `values`, by the names of their fields; what it became."""
        old = self._tables.get(_kind_of(item), item.id)
        if old is None or old.meta.version != item.meta.version:
            raise OutOfSequence
        made = changed(item, meta=_pending_meta(item), **values)
        self._replace(old, made)
        return made

    def delete(self, kind: Kind, object_id: str) -> None:
        """Raises NotFound if there is none."""
        old = self._tables.get(kind, object_id)
        if old is None:
            raise NotFound(f"{_noun(kind)} {object_id} not found")
        self._write(Event(EventKind.DELETE, old, old))

    @property
    def mark(self) -> int:
        """How many writes there have been: a place to roll back to, or to see events from."""
        return len(self._events)

    def events_since(self, mark: int) -> Sequence[Event]:
        """The writes after `mark`, in order."""
        return self._events[mark:]

    def rollback(self, mark: int = 0) -> None:
        """Undoes every write after `mark`."""
        first = _first_writes(self._events[mark:])
        del self._events[mark:]
        for event in reversed(first.values()):
            if event.old is None:
                self._tables.remove(type(event.object), event.object.id)
            else:
                self._tables.put(event.old)

    def changes(self) -> list[Change]:
        """What all writes come to, one for each object, in the order of their first writes."""
        last = {(type(event.object), event.object.id): event for event in self._events}
        found = []
        for key, begin in _first_writes(self._events).items():
            end = last[key]
            if begin.old is None and end.kind is EventKind.DELETE:
                continue
            kind = end.kind
            if kind is not EventKind.DELETE:
                kind = EventKind.CREATE if begin.old is None else EventKind.UPDATE
            found.append(Change(kind, end.object))
        return found

    def _replace(self, old: StoreObject, new: StoreObject) -> None:
        if isinstance(new, Task):
            assert isinstance(old, Task)
            _check_states(old, new)
        else:
            self._check_name(new)
        self._write(Event(EventKind.UPDATE, new, old))

    def _check_name(self, item: StoreObject) -> None:
        name = name_of(item)
        if name and self._tables.id_by_name(type(item), name) not in ("", item.id):
            noun = _noun(type(item))
            raise AlreadyExists(f"name conflicts with an existing object: {noun} {name} already exists")

    def _write(self, event: Event) -> None:
        self._events.append(event)
        if event.kind is EventKind.DELETE:
            self._tables.remove(type(event.object), event.object.id)
        else:
            self._tables.put(event.object)


def _first_writes(events: Iterable[Event]) -> dict[tuple[Kind, str], Event]:
    """Of each object the first, in order."""
    first: dict[tuple[Kind, str], Event] = {}
    for event in events:
        first.setdefault((type(event.object), event.object.id), event)
    return first


def _pending(item: T) -> T:
    if item.meta.version == PENDING:
        return item
    return changed(item, meta=_pending_meta(item))


def _kind_of(item: StoreObject) -> Kind:
    return type(item)


def _pending_meta(item: StoreObject) -> Meta:
    return Meta(PENDING, item.meta.created_at, item.meta.updated_at)


def _check_states(old: Task, new: Task) -> None:
    if new.status.state < old.status.state:
        raise _goes_back(old, old.status.state, new.status.state)
    if new.desired_state < old.desired_state:
        raise _goes_back(old, old.desired_state, new.desired_state)


def _goes_back(task: Task, before: TaskState, after: TaskState) -> FailedPrecondition:
    return FailedPrecondition(f"task {task.id} cannot go back from {before.name} to {after.name}")


def _noun(kind: Kind) -> str:
    return kind.__name__.lower()
