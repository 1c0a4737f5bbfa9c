"""A leader gives up its leadership, if it can. In the engine's thread."""

from core.clock import SECOND
from raft.engine.core import Core

_PATIENCE = SECOND
"""For so long (ns) it asks for another member that is up to date, and then goes on as leader."""


class HandOver:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._until = 0
        self._asked = False

    @property
    def under_way(self) -> bool:
        return self._until > 0

    def begin(self, now: int) -> None:
        self._until, self._asked = now + _PATIENCE, False

    def end(self) -> None:
        self._until = 0

    def turn(self, now: int) -> bool:
        """Whether another member has just been asked to stand for election. Not to be called but on a leader."""
        if not self._until:
            return False
        if now > self._until:
            self.end()
        elif not self._asked and self._core.hand_over():
            self._asked = True
            return True
        return False
