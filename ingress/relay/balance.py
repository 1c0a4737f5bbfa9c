"""Which backend a new connection goes to. Pure: time is handed in."""

from collections.abc import Collection, Sequence

from core.clock import SECOND
from ingress.routes import Backend

BLAME = 2 * SECOND
"""How long a backend that could not be reached is passed over while others can be. Then one connection tries it; the
others pass it over until that one is through, so that a node that is gone delays few."""
LOOK = 16
"""How many backends are compared for one connection, so that a service of thousands costs no more."""


class Choice:
    """A backend and what this relay knows of it."""

    __slots__ = ("backend", "blamed_until", "connections")

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.connections = 0
        self.blamed_until = 0
        """0 for one that was reached when last tried."""


class Balancer:
    """Least connections; among equals in turn, so that a few connections reach every task."""

    def __init__(self) -> None:
        self._choices: list[Choice] = []
        self._next = 0

    def __len__(self) -> int:
        return len(self._choices)

    def replace(self, backends: Sequence[Backend]) -> None:
        """Those that stay keep what is known of them."""
        known = {choice.backend: choice for choice in self._choices}
        self._choices = [known.get(backend) or Choice(backend) for backend in backends]

    def pick(self, tried: Collection[Choice], now: int) -> Choice | None:
        """None if all have been tried. The connection counts until `release`."""
        count = len(self._choices)
        best: Choice | None = None
        best_rank = (False, 0)
        seen = 0
        for offset in range(count):
            choice = self._choices[(self._next + offset) % count]
            if choice in tried:
                continue
            rank = (choice.blamed_until > now, choice.connections)
            if best is None or rank < best_rank:
                best, best_rank = choice, rank
            seen += 1
            if seen == LOOK:
                break
        self._next = (self._next + 1) % count if count else 0
        if best is not None:
            best.connections += 1
            if best.blamed_until:
                best.blamed_until = now + BLAME
        return best

    @staticmethod
    def reached(choice: Choice) -> None:
        choice.blamed_until = 0

    @staticmethod
    def missed(choice: Choice, now: int) -> None:
        """It could not be reached; the connection no longer counts."""
        choice.blamed_until = now + BLAME
        choice.connections -= 1

    @staticmethod
    def release(choice: Choice) -> None:
        choice.connections -= 1
