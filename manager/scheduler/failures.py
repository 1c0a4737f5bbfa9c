"""Where a service's tasks have failed lately: a node that fails one after another comes last."""

from collections import deque
from collections.abc import Collection

from core.clock import SECOND

MANY = 5
LATELY = 300 * SECOND

_Key = tuple[str, int]
"""Service and spec version: another version may do better."""
_NONE: tuple[int, dict[str, deque[int]]] = (-1, {})


class Failures:
    """Of each service only the newest version that has failed is kept, of each node only the last few failures."""

    def __init__(self) -> None:
        self._times: dict[str, tuple[int, dict[str, deque[int]]]] = {}

    def note(self, service_id: str, spec_version: int, node_id: str, time: int) -> None:
        """A task has failed at `time` (ns)."""
        version, nodes = self._times.get(service_id, (spec_version, {}))
        if spec_version < version:
            return
        if spec_version > version:
            nodes = {}
        self._times[service_id] = spec_version, nodes
        nodes.setdefault(node_id, deque(maxlen=MANY)).append(time)

    def forget(self, service_id: str) -> None:
        self._times.pop(service_id, None)

    def faulty_nodes(self, service_id: str, spec_version: int, now: int) -> Collection[str]:
        """The ids of nodes on which many tasks have failed lately."""
        version, nodes = self._times.get(service_id, _NONE)
        if version != spec_version:
            return ()
        return [node_id for node_id, times in nodes.items() if len(times) == MANY and now - times[0] < LATELY]
