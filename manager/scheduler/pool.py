"""All nodes, divided for one kind of requirements: who may take such a task, by load, and why the others may not.

The division is kept up to date node by node, so that finding a node costs the same however many there are. A node
that fills up is only found out when it is looked at next; it is then refused until it changes or gets room again.
"""

from collections.abc import Container, Iterable, Iterator, Mapping

from manager.scheduler.filters import Filter, explain, filters_for, objection_of
from manager.scheduler.node_info import NodeInfo
from manager.scheduler.requirements import Requirements


class Pool:
    def __init__(self, requirements: Requirements, nodes: Iterable[NodeInfo]) -> None:
        self.requirements = requirements
        self._filters = filters_for(requirements)
        self._load_filters = tuple(item for item in self._filters if item.follows_load)
        self._loads: dict[NodeInfo, int] = {}
        """The nodes that may take a task, and the bucket that each is in."""
        self._buckets: dict[int, dict[NodeInfo, None]] = {}
        self._refused: dict[NodeInfo, Filter] = {}
        self._objections: dict[Filter, int] = {}
        self.changed = False
        """Whether anybody may get another answer than before. Set here, reset by the reader."""
        for node in nodes:
            self.update(node)

    def __iter__(self) -> Iterator[NodeInfo]:
        """The nodes that may take a task, as far as is known."""
        return iter(self._loads)

    def update(self, node: NodeInfo) -> None:
        """The node is new, or has changed: looks at it afresh."""
        self.remove(node)
        objection = objection_of(node, self.requirements, self._filters)
        if objection is None:
            self._admit(node)
        else:
            self._refuse(node, objection)

    def remove(self, node: NodeInfo) -> None:
        load = self._loads.pop(node, None)
        if load is not None:
            self._leave_bucket(node, load)
        objection = self._refused.pop(node, None)
        if objection is not None:
            self._objections[objection] -= 1
        self.changed = True

    def reload(self, node: NodeInfo) -> None:
        """The node's load has changed."""
        load = self._loads.get(node)
        if load is not None:
            self._leave_bucket(node, load)
            self._admit(node)

    def relieved(self, node: NodeInfo) -> None:
        """A task has given back what it held of the node."""
        objection = self._refused.get(node)
        if objection is None or not objection.follows_load:
            return
        if objection_of(node, self.requirements, self._filters) is not objection:
            self.update(node)

    def admits(self, node: NodeInfo) -> bool:
        if node not in self._loads:
            return False
        objection = objection_of(node, self.requirements, self._load_filters)
        if objection is not None:
            self._withdraw(node, objection)
        return objection is None

    def lightest(
        self, wanted: int, copies: Mapping[NodeInfo, int], level: int, skip: Container[NodeInfo]
    ) -> list[NodeInfo]:
        """Up to `wanted` nodes that may take a task and have `level` of the `copies`, the least loaded first, without
        those of `skip`."""
        found: list[NodeInfo] = []
        full: list[tuple[NodeInfo, Filter]] = []
        for load in sorted(self._buckets):
            if load < level:
                continue
            for node in self._buckets[load]:
                if copies.get(node, 0) != level or node in skip:
                    continue
                objection = objection_of(node, self.requirements, self._load_filters)
                if objection is not None:
                    full.append((node, objection))
                    continue
                found.append(node)
                if len(found) == wanted:
                    break
            if len(found) == wanted:
                break
        for node, objection in full:
            self._withdraw(node, objection)
        return found

    def explain(self) -> str:
        return explain(self._objections)

    def _withdraw(self, node: NodeInfo, objection: Filter) -> None:
        self.remove(node)
        self._refuse(node, objection)

    def _admit(self, node: NodeInfo) -> None:
        self._loads[node] = node.load
        self._buckets.setdefault(node.load, {})[node] = None

    def _refuse(self, node: NodeInfo, objection: Filter) -> None:
        self._refused[node] = objection
        self._objections[objection] = self._objections.get(objection, 0) + 1

    def _leave_bucket(self, node: NodeInfo, load: int) -> None:
        bucket = self._buckets[load]
        del bucket[node]
        if not bucket:
            del self._buckets[load]
