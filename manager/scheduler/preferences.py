"""Spreading over the values of labels before single nodes: equally many tasks in each zone, in each of its racks ..."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import count

from manager.scheduler.constraint import label_of
from manager.scheduler.node_info import NodeInfo
from manager.scheduler.pool import Pool

_Entry = tuple[bool, int, int, int, NodeInfo]
"""Whether the node is faulty, tasks of the service, all tasks, and a number that makes entries differ."""
CanTake = Callable[[NodeInfo], bool]


class Branch:
    """The nodes that share the values of the first labels, by the value of the next one; or, at the end, themselves."""

    def __init__(self) -> None:
        self.tasks = 0
        self.branches: dict[str, Branch] = {}
        self.nodes: list[_Entry] = []

    def take(self, can_take: CanTake) -> NodeInfo | None:
        """A node of the branch that has the fewest tasks among those that can take one more; None if none can."""
        found = self._take_node(can_take) if not self.branches else self._take_from_branch(can_take)
        if found is not None:
            self.tasks += 1
        return found

    def _take_from_branch(self, can_take: CanTake) -> NodeInfo | None:
        while self.branches:
            value, branch = min(self.branches.items(), key=lambda item: item[1].tasks)
            found = branch.take(can_take)
            if found is not None:
                return found
            del self.branches[value]
        return None

    def _take_node(self, can_take: CanTake) -> NodeInfo | None:
        while self.nodes:
            faulty, tasks, load, number, node = heappop(self.nodes)
            if can_take(node):
                heappush(self.nodes, (faulty, tasks + 1, load + 1, number, node))
                return node
        return None


def spread_by_labels(
    pool: Pool,
    nodes: Iterable[NodeInfo],
    copies: Mapping[NodeInfo, int],
    faulty: Collection[NodeInfo],
    labels: Sequence[str],
    can_take: CanTake,
) -> Iterator[NodeInfo]:
    """Like `spread`, but level over the values of `labels` first. Nodes without a label are one more group of it.

    Goes through all nodes once. `can_take` has the last word on a node that the pool admits, before it counts.
    """
    root = Branch()
    numbers = count()
    for node in nodes:
        branch = root
        branch.tasks += copies.get(node, 0)
        for label in labels:
            branch = branch.branches.setdefault(label_of(node.node, label), Branch())
            branch.tasks += copies.get(node, 0)
        if pool.admits(node):
            branch.nodes.append((node in faulty, copies.get(node, 0), node.load, next(numbers), node))
    _order(root)
    while (found := root.take(can_take)) is not None:
        yield found


def _order(branch: Branch) -> None:
    heapify(branch.nodes)
    for child in branch.branches.values():
        _order(child)
