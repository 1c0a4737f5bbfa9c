"""What changed, as watchers see it."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from core.model import StoreObject


class EventKind(IntEnum):
    CREATE = 0
    UPDATE = 1
    DELETE = 2


class Event(NamedTuple):
    """One object's change. `old` is what it was before; for DELETE `object` is the last that was known of it."""

    kind: EventKind
    object: StoreObject
    old: StoreObject | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """One applied log entry. A snapshot that was installed instead has `restored` set and no events."""

    index: int
    events: tuple[Event, ...] = ()
    restored: bool = False
    at: int = 0
    """When it was proposed, by the leader's clock: the same on every manager. 0 for a snapshot."""
