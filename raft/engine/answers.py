"""Which members answer a leader. Pure."""

from collections.abc import Callable, Iterable

from raft.awake import AwakeClock


class Answers:
    """Whoever was not asked could not answer: only time (ns) in which this process ran counts."""

    def __init__(self, limit: int, heartbeat: int) -> None:
        self._limit = limit
        self._pause = heartbeat // 2
        self._clock = AwakeClock(2 * heartbeat)
        self._looked = 0
        self._last: dict[str, tuple[int, int]] = {}
        self._silent: frozenset[str] = frozenset()

    def restart(self) -> None:
        """A new leader gives everybody time."""
        self._last.clear()
        self._silent = frozenset()

    def silent(self, now: int, members: Iterable[str], heard: Callable[[str], int]) -> frozenset[str]:
        """Those of whom `heard` has not changed for `limit`. Found out every half heartbeat."""
        if now - self._looked < self._pause:
            return self._silent
        self._looked = now
        ran = self._clock.at(now)
        last = {member: (heard(member), ran) for member in members}
        for member, known in self._last.items():
            if member in last and last[member][0] == known[0]:
                last[member] = known
        self._last = last
        self._silent = frozenset(member for member, (_, since) in last.items() if ran - since >= self._limit)
        return self._silent
