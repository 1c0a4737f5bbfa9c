"""In which order nodes take the tasks of one service: fewest tasks of the service first, then fewest tasks at all."""

from collections.abc import Callable, Collection, Iterator, Mapping

from manager.scheduler.node_info import NodeInfo
from manager.scheduler.pool import Pool

Copies = Callable[[], Mapping[NodeInfo, int]]
"""The nodes that have tasks of the service just now, and how many."""


def spread(pool: Pool, copies: Copies, faulty: Collection[NodeInfo], wanted: int) -> Iterator[NodeInfo]:
    """One node for each task, for as long as any can take one; those that are `faulty` only after all others.

    The caller must let a node that was yielded take its task, or have the pool refuse it, before it asks for the next.
    `wanted` is how many it is likely to ask for.
    """
    yield from _level_by_level(pool, copies, faulty, wanted)
    if faulty:
        yield from _level_by_level(pool, copies, frozenset(pool).difference(faulty), wanted)


def stay(pool: Pool) -> Iterator[NodeInfo]:
    """The only node of a pool, again and again, for as long as it can take a task."""
    for node in tuple(pool):
        while pool.admits(node):
            yield node


def _level_by_level(pool: Pool, copies: Copies, skip: Collection[NodeInfo], wanted: int) -> Iterator[NodeInfo]:
    """The pool has its nodes by load, so only those of the level are to be found there: as tasks are spread, there are
    seldom more than two levels."""
    level: int | None = 0
    while level is not None:
        batch = pool.lightest(wanted, copies(), level, skip)
        yield from batch
        if len(batch) < wanted:
            level = min((count for count in copies().values() if count > level), default=None)
