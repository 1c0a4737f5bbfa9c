"""Who may write next, when a thousand sessions have something to write at once."""

import asyncio
from itertools import islice

WIDTH = 10
"""Sessions that are woken at a time."""
PACE = 0.008
"""Seconds from one such group to the next: a thousand sessions are through in less than a second, and the loop has most
of its time for other work."""
_YIELD = 3
_MOST_REST = 0.03
"""While the loop is busy a group waits longer, by so many times as much as the loop is late; seconds at most."""


class Turnstile:
    """Lets a few through at once. In a crowd the others follow in the order in which they came, at a steady pace, and
    slower while the loop is late. So a crowd does not hold up what keeps the loop busy, scheduling above all,
    and what those who wait are to say becomes one message each."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Event, None] = {}
        self._turning = False

    def wake(self, sleeper: asyncio.Event) -> None:
        """Sets `sleeper` when its turn comes; once, however often that is asked for until then."""
        self._waiting[sleeper] = None
        if not self._turning:
            self._turning = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._turn, loop.time())

    def _turn(self, due: float) -> None:
        for sleeper in list(islice(self._waiting, WIDTH)):
            del self._waiting[sleeper]
            sleeper.set()
        self._turning = bool(self._waiting)
        if self._turning:
            loop = asyncio.get_running_loop()
            now = loop.time()
            due = now + PACE + min(_YIELD * (now - due), _MOST_REST)
            loop.call_at(due, self._turn, due)
