"""What every control loop of the leader is: a pure step over a transaction."""

from collections.abc import Sequence
from typing import Protocol

from manager.store import Event, Transaction


class Controller(Protocol):
    """Decides, and does nothing else: all it wants is written to the transaction, the time is handed in.

    A controller may keep indexes and plans of its own, but nothing that a successor could not rebuild from the store:
    each new leader makes new controllers, and so does a leader whose proposal failed.
    """

    def start(self, tx: Transaction, now: int) -> int | None:
        """A full scan: repairs what the last leader left half done. Returns what `step` returns."""
        ...

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        """Reacts to `events`, or to the time that it asked for. Does a bounded amount of work.

        Returns when it wants to be called again without an event (ns), at the latest; None if it does not. `now`, or
        earlier, means that it has more to do.
        """
        ...
