"""Who may write next, when a thousand sessions have something to write at once."""

import asyncio
from itertools import islice

WIDTH = 10
"""Sessions that are woken at a time."""
PACE = 0.008
"""Seconds from one such group to the next. A thousand sessions are through in less than a second, and the loop has most
of its time for other work, which gives those who still wait more to say."""


class Turnstile:
    """Lets a few through at once. In a crowd the others follow in the order in which they came, at a steady pace: a
    crowd does not hold the loop, and what those who wait are to say becomes one message each."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Event, None] = {}
        self._turning = False

    def wake(self, sleeper: asyncio.Event) -> None:
        """Sets `sleeper` when its turn comes; once, however often that is asked for until then."""
        self._waiting[sleeper] = None
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        for sleeper in list(islice(self._waiting, WIDTH)):
            del self._waiting[sleeper]
            sleeper.set()
        self._turning = bool(self._waiting)
        if self._turning:
            asyncio.get_running_loop().call_later(PACE, self._turn)
