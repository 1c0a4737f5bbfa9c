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
from manager.turns import Turns

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

    def _turn(self, turns: Turns, tx: Transaction) -> int | None:
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
