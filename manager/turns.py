"""In which order the controllers see what has changed, and what they write, until nobody has more to do. Pure."""

from collections.abc import Sequence

from manager.orchestrator.controller import Controller
from manager.store import Event, Transaction

_MOST_WRITES = 400
"""Writes after which a turn ends: no turn holds the loop for long, no log entry is large."""


class Turns:
    """The controllers of one reign, and what each of them has not seen yet."""

    def __init__(self, controllers: Sequence[Controller]) -> None:
        self._controllers = controllers
        self._wake_ups: list[int | None] = [None] * len(controllers)
        self._unseen: list[list[Event]] = [[] for _ in controllers]
        self._begun = 0

    @property
    def started(self) -> bool:
        """Whether every controller has made its scan. One does in each turn, and nothing else: a scan takes a while."""
        return self._begun == len(self._controllers)

    def take(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        """One turn; when the next is wanted (ns), None if only after an event.

        `events` are all changes since the last turn, but for the last turn's own.
        """
        begin = tx.mark
        seen = [begin] * len(self._controllers)
        for unseen in self._unseen[: self._begun]:
            unseen.extend(events)
        if not self.started:
            self._wake_ups[self._begun] = self._controllers[self._begun].start(tx, now)
            seen[self._begun] = tx.mark
            self._begun += 1
        else:
            while self._pass(tx, seen, now) and tx.mark - begin < _MOST_WRITES:
                pass
        for number in range(self._begun):
            self._unseen[number].extend(tx.events_since(seen[number]))
        if not self.started or any(self._unseen):
            return now
        return min((time for time in self._wake_ups if time is not None), default=None)

    def _pass(self, tx: Transaction, seen: list[int], now: int) -> bool:
        """Lets each controller that has reason to make a step; whether anything was written. What one wrote itself it
        does not see again."""
        begin = tx.mark
        for number in range(self._begun):
            news = [*self._unseen[number], *tx.events_since(seen[number])]
            self._unseen[number].clear()
            if news or self._is_due(number, now):
                self._wake_ups[number] = self._controllers[number].step(tx, news, now)
            seen[number] = tx.mark
        return tx.mark > begin

    def _is_due(self, number: int, now: int) -> bool:
        time = self._wake_ups[number]
        return time is not None and time <= now
