"""In which order nodes take the tasks of one service: fewest tasks of the service first, then fewest tasks at all."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from operator import attrgetter

from manager.scheduler.node_info import NodeInfo
from manager.scheduler.pool import Pool

_by_load = attrgetter("load")


def spread(pool: Pool, copies: Mapping[NodeInfo, int], wanted: int) -> Iterator[NodeInfo]:
    """One node for each task, for as long as any can take one.

    The caller must let a node that was yielded take its task, or have the pool refuse it, before it asks for the next.
    `copies` may or may not follow what happens meanwhile. Nodes without a task of the service come from the pool, which
    has them by load; the others are gone through level by level.
    """
    levels: dict[int, list[NodeInfo]] = defaultdict(list)
    for node, count in copies.items():
        levels[count].append(node)
    used = set(copies)
    while batch := pool.lightest(wanted, used):
        for node in batch:
            yield node
            used.add(node)
            levels[1].append(node)
    while levels:
        level = min(levels)
        for node in sorted(levels.pop(level), key=_by_load):
            if pool.admits(node):
                yield node
                levels[level + 1].append(node)
