"""How often one node may register: opening session after session cures no trouble, and costs everybody. Pure."""

from collections import deque

from core.clock import SECOND

LIMIT = 3
WINDOW = 8 * SECOND


class Registrations:
    def __init__(self) -> None:
        self._times: dict[str, deque[int]] = {}

    def admit(self, node_id: str, now: int) -> bool:
        """Whether the node may register at `now` (ns); counts it if so."""
        times = self._times.setdefault(node_id, deque(maxlen=LIMIT))
        if len(times) == LIMIT and now - times[0] < WINDOW:
            return False
        times.append(now)
        return True

    def take_back(self, node_id: str) -> None:
        """The last one failed through no fault of the node: it does not count."""
        times = self._times.get(node_id)
        if times:
            times.pop()

    def forget(self, node_id: str) -> None:
        self._times.pop(node_id, None)
