"""How long to wait before trying again."""

from random import Random


class Backoff:
    """Exponential, with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"), in seconds.

    Swarm's figures for an agent's session are the default: from 0.1 s, doubling, to 8 s.
    """

    def __init__(self, rng: Random, first: float = 0.1, limit: float = 8.0) -> None:
        self._rng = rng
        self._first = first
        self._limit = limit
        self._ceiling = 0.0

    def next(self) -> float:
        """The next wait. The first after `reset` is 0 to `first`."""
        self._ceiling = min(self._limit, self._ceiling * 2 or self._first)
        return self._rng.uniform(0, self._ceiling)

    def reset(self) -> None:
        self._ceiling = 0.0
