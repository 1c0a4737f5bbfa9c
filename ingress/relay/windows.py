"""Flow control of a stream: how much may be under way, so that a slow reader bounds what is kept for it.

Every stream begins with a small window. One whose reader keeps up is given a larger one, as long as the relay's
budget for that lasts: bulk transfers fill a long line, thousands of idle streams cost nothing.
"""

from ingress.relay.frames import ProtocolError

INITIAL = 64 * 1024
LARGEST = 1024 * 1024
LIMIT = 2**31
"""No window that another relay offers may add up to more."""


class Budget:
    """What all streams' windows together may have above INITIAL, in bytes."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, size: int) -> bool:
        if size > self.left:
            return False
        self.left -= size
        return True

    def give_back(self, size: int) -> None:
        self.left += size


class SendWindow:
    """What the other side still takes."""

    __slots__ = ("available",)

    def __init__(self) -> None:
        self.available = INITIAL

    def grant(self, credit: int) -> None:
        """Raises ProtocolError if the sum is absurd."""
        self.available += credit
        if self.available > LIMIT:
            raise ProtocolError(f"a window of {self.available} bytes")


class ReceiveWindow:
    """What the other side may still send: `size` is what is open, kept here and passed on unannounced together."""

    __slots__ = ("_budget", "_room", "_unannounced", "size")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = INITIAL
        self._room = INITIAL
        self._unannounced = 0

    def received(self, count: int) -> None:
        """Raises ProtocolError if the other side sent more than it may."""
        self._room -= count
        if self._room < 0:
            raise ProtocolError(f"{-self._room} bytes more than the window")

    def passed_on(self, count: int) -> int:
        """The credit to announce now; 0 as long as less than half the window is unannounced."""
        self._unannounced += count
        if self._unannounced * 2 < self.size:
            return 0
        credit = self._unannounced
        keeps_up = self._room + credit == self.size
        if keeps_up and self.size < LARGEST and self._budget.take(self.size):
            credit += self.size
            self.size *= 2
        self._unannounced = 0
        self._room += credit
        return credit

    def close(self) -> None:
        """The budget gets back what it gave."""
        self._budget.give_back(self.size - INITIAL)
        self.size = INITIAL
