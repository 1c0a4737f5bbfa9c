"""Who may write next, when a thousand sessions have something to write at once."""

import asyncio
from itertools import islice

WIDTH = 8
"""Sessions that are woken in one turn of the loop."""


class Turnstile:
    """Lets only a few through in each turn of the loop, in the order in which they came. So a crowd holds the loop for
    no longer than a few do, and what those who wait are to say meanwhile becomes one message."""

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
            asyncio.get_running_loop().call_soon(self._turn)
