"""Time as the product uses it: whole nanoseconds since the epoch, handed in, never asked for by a pure room."""

import time
from typing import Protocol

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


class Clock(Protocol):
    def now(self) -> int:
        """Nanoseconds since the epoch. Never goes back while the process lives."""
        ...


class SteadyClock:
    """The wall clock as it stood when the process began, carried on by the monotonic one.

    A step of the system's clock (NTP, an operator) therefore moves no deadline: delays and time-outs are computed
    from this clock alone. A new process starts from the wall clock again.
    """

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        return self._offset + time.monotonic_ns()


class WallClock:
    """The system's clock, which may jump. Only for the validity of certificates: everyone judges it by this clock."""

    def now(self) -> int:
        return time.time_ns()


class ManualClock:
    """A clock that stands still until it is told to move: for tests and simulations."""

    def __init__(self, now: int = 1_700_000_000 * SECOND) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def advance(self, nanoseconds: int) -> None:
        self._now += nanoseconds
