"""The leader's loop: the one shell around the pure controllers."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from core.clock import SECOND, Clock
from core.errors import PyswarmError
from core.logs import logger
from manager.orchestrator.controller import Controller
from manager.replicator import Replicator
from manager.store import Commit, Event, Store, Transaction

_MOST_WRITES = 400
"""Writes after which a turn ends: no turn holds the loop for long, no log entry is large."""
_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
"""Seconds before beginning again after a turn that was not committed: twice as long each time."""

log = logger("manager.leader")


class LeaderLoop:
    """Runs the controllers while this manager leads.

    It gathers the store's events, and in one transaction lets each controller in turn react to them and to what the
    others wrote, until nobody has more to do: a new service's tasks are made, allocated and scheduled in one log entry.
    A turn is the last writer of its entry, so the controllers see every change exactly once, in order, and never a
    state that is ahead of what they were told. After a turn that was not committed the controllers' own indexes may be
    wrong: they are made anew.
    """

    def __init__(
        self, store: Store, replicator: Replicator, clock: Clock, controllers: Callable[[], Sequence[Controller]]
    ) -> None:
        self._store = store
        self._replicator = replicator
        self._clock = clock
        self._controllers = controllers
        self._events: list[Event] = []
        self._entry_seen = False
        """The next commit is the turn's own: the controllers know all that is in it."""
        self._restored = False
        self._pause = _SHORTEST_PAUSE
        self._wake = asyncio.Event()

    def nudge(self) -> None:
        """What controllers ask about outside the store has changed: a node has become suspect, or is no longer."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. To be run only while this manager leads."""
        unwatch = self._store.watch(self._take)
        try:
            while True:
                try:
                    await self._lead()
                except PyswarmError as error:
                    log.warning("a turn was not committed; beginning again", reason=error.message)
                except Exception:
                    log.exception("a controller failed; beginning again", seconds=self._pause)
                await asyncio.sleep(self._pause)
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        finally:
            unwatch()

    async def _lead(self) -> None:
        """Turn after turn, until one fails or a snapshot has replaced the store."""
        self._events.clear()
        self._restored = self._entry_seen = False
        turns = Turns(self._controllers())
        while not self._restored:
            self._wake.clear()
            wake_up = await self._replicator.update(partial(self._turn, turns), last=True)
            if turns.started:
                self._pause = _SHORTEST_PAUSE
            if not self._events:
                await self._sleep_until(wake_up)

    def _turn(self, turns: "Turns", tx: Transaction) -> int | None:
        events = [*self._events, *tx.events_since(0)]
        self._events.clear()
        wake_up = turns.take(tx, events, self._clock.now())
        self._entry_seen = bool(tx.changes())
        return wake_up

    async def _sleep_until(self, wake_up: int | None) -> None:
        seconds = None if wake_up is None else max(0.0, (wake_up - self._clock.now()) / SECOND)
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _take(self, commit: Commit) -> None:
        self._restored = self._restored or commit.restored
        if self._entry_seen:
            self._entry_seen = False
            return
        self._events.extend(commit.events)
        self._wake.set()


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
