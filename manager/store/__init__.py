"""The store: objects, indexes, transactions, events, and how they become log entries and snapshots. Pure."""

from manager.store.entry import decode_entry, encode_entry
from manager.store.events import Commit, Event, EventKind
from manager.store.store import Store
from manager.store.tables import Kind, Slot, slot_of
from manager.store.transaction import PENDING, Change, Transaction
from manager.store.view import View

__all__ = [
    "PENDING",
    "Change",
    "Commit",
    "Event",
    "EventKind",
    "Kind",
    "Slot",
    "Store",
    "Transaction",
    "View",
    "decode_entry",
    "encode_entry",
    "slot_of",
]
