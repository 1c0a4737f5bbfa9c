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

_MOST_WRITES = 1_000
"""Writes after which a turn ends: no turn holds the loop for long, no log entry is large."""
_MOST_EVENTS = 1_000
_PAUSE = 0.1
"""Seconds before beginning again after a turn that was not committed."""

log = logger("manager.leader")


class LeaderLoop:
    """Runs the controllers while this manager leads.

    It gathers the store's events, and in one transaction lets each controller in turn react to them and to what the
    others wrote, until nobody has more to do: a new service's tasks are made, allocated and scheduled in one log entry.
    After a turn that was not committed the controllers' own indexes may be wrong: they are made anew.
    """

    def __init__(
        self, store: Store, replicator: Replicator, clock: Clock, controllers: Callable[[], Sequence[Controller]]
    ) -> None:
        self._store = store
        self._replicator = replicator
        self._clock = clock
        self._controllers = controllers
        self._events: list[Event] = []
        self._restored = False
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
                await asyncio.sleep(_PAUSE)
        finally:
            unwatch()

    async def _lead(self) -> None:
        self._events.clear()
        self._restored = False
        turns = Turns(self._controllers())
        while not self._restored:
            events, self._events = self._events[:_MOST_EVENTS], self._events[_MOST_EVENTS:]
            self._wake.clear()
            wake_up = await self._replicator.update(partial(self._turn, turns, events))
            if not self._events:
                await self._sleep_until(wake_up)

    def _turn(self, turns: "Turns", events: Sequence[Event], tx: Transaction) -> int | None:
        return turns.take(tx, events, self._clock.now())

    async def _sleep_until(self, wake_up: int | None) -> None:
        seconds = None if wake_up is None else max(0.0, (wake_up - self._clock.now()) / SECOND)
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _take(self, commit: Commit) -> None:
        self._restored = self._restored or commit.restored
        self._events.extend(commit.events)
        self._wake.set()


class Turns:
    """The controllers of one reign, and how far each has seen."""

    def __init__(self, controllers: Sequence[Controller]) -> None:
        self._controllers = controllers
        self._wake_ups: list[int | None] = [None] * len(controllers)
        self._started = 0

    def take(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        """One turn; when the next is wanted (ns), None if only after an event."""
        begin = tx.mark
        seen = [begin] * len(self._controllers)
        outside: list[Sequence[Event]] = [events] * len(self._controllers)
        while tx.mark - begin < _MOST_WRITES:
            busy = False
            for number, controller in enumerate(self._controllers):
                news = [*outside[number], *tx.events_since(seen[number])]
                outside[number] = ()
                before = tx.mark
                if number >= self._started:
                    self._wake_ups[number] = controller.start(tx, now)
                    self._started += 1
                elif news or self._is_due(number, now):
                    self._wake_ups[number] = controller.step(tx, news, now)
                else:
                    seen[number] = before
                    continue
                busy = busy or tx.mark > before
                # What it wrote itself it need not see again in this turn.
                seen[number] = tx.mark
            if not busy:
                break
        return min((time for time in self._wake_ups if time is not None), default=None)

    def _is_due(self, number: int, now: int) -> bool:
        time = self._wake_ups[number]
        return time is not None and time <= now
