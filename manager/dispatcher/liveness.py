"""Which nodes are alive, by their heartbeats. Pure: time is handed in (ns)."""

from collections.abc import Iterable

from core.clock import SECOND

MISSED = 3
"""Heartbeats after which a silent node is down."""
TAKEOVER_GRACE = SECOND
_STEP = SECOND // 10
_NODES_PER_STEP = 100


def heartbeat_period(configured: int, nodes: int) -> int:
    """What is configured, or if that is more a second for every thousand nodes, in whole tenths: every change of it is
    told to all of them."""
    return max(configured, -(-nodes // _NODES_PER_STEP) * _STEP)


class Liveness:
    """Knows of every node that counts as alive until when it may be silent."""

    def __init__(self, period: int) -> None:
        self.period = period
        self._deadlines: dict[str, int] = {}
        self._suspects: set[str] = set()

    def expect(self, node_ids: Iterable[str], now: int) -> None:
        """A new leader has heard of nobody yet: gives every node time to find it."""
        deadline = now + MISSED * self.period + TAKEOVER_GRACE
        for node_id in node_ids:
            self._deadlines.setdefault(node_id, deadline)

    def heard(self, node_id: str, now: int) -> None:
        self._deadlines[node_id] = now + MISSED * self.period

    def trust(self, node_id: str) -> None:
        """It has opened a new session."""
        self._suspects.discard(node_id)

    def broken(self, node_id: str) -> None:
        """Its connection has ended: suspect, until it is trusted again or known to be down."""
        if node_id in self._deadlines:
            self._suspects.add(node_id)

    def forget(self, node_id: str) -> None:
        """It is down, and everybody knows, or it is no node any more."""
        self._deadlines.pop(node_id, None)
        self._suspects.discard(node_id)

    def is_alive(self, node_id: str) -> bool:
        """Whether it may still be silent for a while."""
        return node_id in self._deadlines

    def is_suspect(self, node_id: str) -> bool:
        return node_id in self._suspects

    def overdue(self, now: int) -> list[str]:
        """Those whose time is up. They stay suspect until `forget`."""
        gone = [node_id for node_id, deadline in self._deadlines.items() if deadline <= now]
        for node_id in gone:
            del self._deadlines[node_id]
        self._suspects.update(gone)
        return gone

    def next_deadline(self) -> int | None:
        return min(self._deadlines.values(), default=None)

    def excuse(self, duration: int) -> None:
        """This manager itself stood still for so long: what nodes sent meanwhile may not have been read yet."""
        for node_id in self._deadlines:
            self._deadlines[node_id] += duration
