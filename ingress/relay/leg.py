"""A relayed connection has two legs, each of which passes what it reads to the other."""

from collections.abc import Callable
from typing import Protocol

Ended = Callable[[], None]


class Leg(Protocol):
    other: "Leg | None"
    """None before `join` and after the leg has ended."""
    on_ended: Ended | None
    """Called once, when the leg has ended in whatever way."""

    def start(self) -> None:
        """Begins to read."""
        ...

    def write(self, data: memoryview) -> int:
        """Takes all of `data` and returns how many bytes left at once.

        The rest is reported to the other leg by `passed_on`; until then the other leg holds back.
        """
        ...

    def passed_on(self, count: int) -> None:
        """`count` bytes more that were read here have left through the other leg."""
        ...

    def finish(self) -> None:
        """Ends this direction once everything has left."""
        ...

    def abort(self) -> None:
        """Ends the leg at once, both ways, in a manner its far end can tell from a good end. May be called again."""
        ...


def join(one: Leg, two: Leg) -> None:
    one.other, two.other = two, one
    one.start()
    two.start()


def end(leg: Leg) -> None:
    """What every leg does last: lets go of the other, so that neither keeps the other alive."""
    leg.other = None
    ended, leg.on_ended = leg.on_ended, None
    if ended is not None:
        ended()
