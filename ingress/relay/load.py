"""How busy a connection is: bytes lately, older ones counting less."""

import math

from core.clock import MILLISECOND

HALF_LIFE = 50 * MILLISECOND
BUSY = 1024 * 1024
"""A connection with more than this carries bulk: new streams are better off elsewhere."""


class Load:
    """An exponentially decaying sum, in bytes."""

    __slots__ = ("_at", "_sum")

    def __init__(self) -> None:
        self._sum = 0.0
        self._at = 0

    def add(self, count: int, now: int) -> None:
        self._sum = self.at(now) + count
        self._at = now

    def at(self, now: int) -> float:
        return self._sum * math.pow(0.5, (now - self._at) / HALF_LIFE)
