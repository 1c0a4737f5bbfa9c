"""For tests of what must not happen, such as an election: whether the whole machine stood still meanwhile, as a shared
one does for seconds. Then it happens rightly, and shows nothing."""

import threading
import time
from types import TracebackType

_LOOK = 0.02
LONG = 0.25
"""Seconds: less than any member of a log waits for a leader."""


class Standstill:
    """Watches while its context is entered."""

    def __init__(self) -> None:
        self.longest = 0.0
        """Seconds for which nothing ran, at most."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Standstill":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """A failure shows nothing if the machine stood still: it is to be tried again."""
        self._ended.set()
        self._thread.join()
        return isinstance(error, AssertionError) and self.longest > LONG

    def _watch(self) -> None:
        before, ended = time.monotonic(), False
        while not ended:
            ended = self._ended.wait(_LOOK)
            now = time.monotonic()
            self.longest, before = max(self.longest, now - before), now
