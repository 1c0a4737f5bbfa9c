"""Which nodes are alive, by their heartbeats. Pure: time is handed in (ns)."""

from collections.abc import Iterable

from core.clock import SECOND

MISSED = 3
"""Heartbeats after which a silent node is down."""
_TAKEOVER_GRACE = SECOND
_NODES_PER_SECOND = 1_000


def period(configured: int, nodes: int) -> int:
    """Between heartbeats: at least what is configured, longer in a cluster of more than a thousand nodes."""
    return max(configured, nodes * SECOND // _NODES_PER_SECOND)


class Liveness:
    """Knows, of every node that counts as alive, when it was last heard of."""

    def __init__(self, period: int) -> None:
        self.period = period
        self._deadline: dict[str, int] = {}
        self._broken: set[str] = set()

    def take_over(self, node_ids: Iterable[str], now: int) -> None:
        """A new leader has heard of nobody yet: gives every node time to find it."""
        for node_id in node_ids:
            self._deadline[node_id] = now + MISSED * self.period + _TAKEOVER_GRACE

    def heard(self, node_id: str, now: int) -> None:
        self._deadline[node_id] = now + MISSED * self.period
        self._broken.discard(node_id)

    def broken(self, node_id: str) -> None:
        """Its connection has ended: suspect, until it is heard of again or its time is up."""
        if node_id in self._deadline:
            self._broken.add(node_id)

    def forget(self, node_id: str) -> None:
        self._deadline.pop(node_id, None)
        self._broken.discard(node_id)

    def is_suspect(self, node_id: str) -> bool:
        return node_id in self._broken

    def overdue(self, now: int) -> list[str]:
        """Those that are down now; they are forgotten until they are heard of again."""
        gone = [node_id for node_id, deadline in self._deadline.items() if deadline <= now]
        for node_id in gone:
            self.forget(node_id)
        return gone

    def next_deadline(self) -> int | None:
        return min(self._deadline.values(), default=None)
