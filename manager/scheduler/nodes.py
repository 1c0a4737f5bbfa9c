"""The scheduler's mirror of the cluster: every node with what its tasks take, and the pools that nodes are found in."""

from collections.abc import Callable, Iterator, Mapping

from core.model import Node, Task, TaskState
from manager.scheduler.node_info import Claim, NodeInfo
from manager.scheduler.pool import Pool
from manager.scheduler.requirements import Requirements, RequirementsCache

MAX_POOLS = 32
"""Kinds of requirements that are indexed at a time. Each costs a little at every change of a node's tasks; for one that
is not indexed all nodes are gone through once."""

_NOWHERE: Mapping[NodeInfo, int] = {}


class Nodes:
    def __init__(self, cache: RequirementsCache, is_suspect: Callable[[str], bool]) -> None:
        self._cache = cache
        self._is_suspect = is_suspect
        self._nodes: dict[str, NodeInfo] = {}
        self._pools: dict[Requirements, Pool] = {}
        """The one that was used last is the last."""
        self._latest: Pool | None = None
        self._copies: dict[str, dict[NodeInfo, int]] = {}
        self._changed: set[str] = set()
        self.suspects: set[NodeInfo] = set()

    def __iter__(self) -> Iterator[NodeInfo]:
        return iter(self._nodes.values())

    def get(self, node_id: str) -> NodeInfo | None:
        return self._nodes.get(node_id)

    def copies(self, service_id: str) -> Mapping[NodeInfo, int]:
        """The nodes that have tasks of the service, and how many."""
        return self._copies.get(service_id, _NOWHERE)

    def pool(self, requirements: Requirements) -> Pool:
        latest = self._latest
        if latest is not None and latest.requirements is requirements:
            return latest
        pool = self._pools.pop(requirements, None)
        if pool is None:
            if len(self._pools) >= MAX_POOLS:
                del self._pools[next(iter(self._pools))]
            pool = Pool(requirements, self._nodes.values())
            pool.changed = False
        self._pools[requirements] = self._latest = pool
        return pool

    def drain_changes(self) -> "Changes":
        """What has changed since the last call, for those who wait for it."""
        changes = Changes(self._changed, self._pools)
        self._changed = set()
        return changes

    def put(self, node: Node) -> NodeInfo:
        """The node as it is now."""
        info = self._nodes.get(node.id)
        if info is None:
            info = self._nodes[node.id] = NodeInfo(node)
        else:
            info.update(node)
        self._look_again(info)
        return info

    def drop(self, node_id: str) -> None:
        info = self._nodes.pop(node_id, None)
        if info is None:
            return
        for claim in info.claims.values():
            if claim.counts:
                self._count(info, claim.service_id, -1)
        for pool in self._pools.values():
            pool.remove(info)
        self.suspects.discard(info)
        self._changed.add(node_id)

    def check_trust(self, info: NodeInfo) -> None:
        """A node whose connection is broken just now gets no tasks until it is whole again."""
        suspect = self._is_suspect(info.id)
        if suspect is not info.suspect:
            info.suspect = suspect
            (self.suspects.add if suspect else self.suspects.discard)(info)
            self._look_again(info)

    def observe(self, task: Task) -> None:
        """Claims for the task, or gives back, so that its node carries what the task takes in its present state."""
        info = self._nodes.get(task.node_id)
        if info is None:
            return
        claim = info.claims.get(task.id)
        if not TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING:
            if claim is not None:
                self._give_back(info, task.id)
            return
        if claim is None:
            self.place(task, info, self._cache.of(task))
            return
        counts = task.desired_state < TaskState.SHUTDOWN
        if claim.counts is not counts:
            info.claims[task.id] = claim._replace(counts=counts)
            self._weigh(info, task.service_id, 1 if counts else -1)
            if claim.requirements.max_replicas:
                self._relieve(info)

    def place(self, task: Task, info: NodeInfo, requirements: Requirements) -> None:
        """The task is on that node, which carries nothing of it yet."""
        counts = task.desired_state < TaskState.SHUTDOWN
        info.hold(task.id, Claim(task.service_id, requirements, task.generic, counts))
        if counts:
            self._weigh(info, task.service_id, 1)

    def forget(self, task: Task) -> None:
        """The task is no more."""
        info = self._nodes.get(task.node_id)
        if info is not None and task.id in info.claims:
            self._give_back(info, task.id)

    def _give_back(self, info: NodeInfo, task_id: str) -> None:
        claim = info.give_back(task_id)
        if claim.counts:
            self._weigh(info, claim.service_id, -1)
        self._relieve(info)

    def _weigh(self, info: NodeInfo, service_id: str, change: int) -> None:
        info.load += change
        self._count(info, service_id, change)
        for pool in self._pools.values():
            pool.reload(info)

    def _relieve(self, info: NodeInfo) -> None:
        """There may be room on it for another task."""
        for pool in self._pools.values():
            pool.relieved(info)
        self._changed.add(info.id)

    def _count(self, info: NodeInfo, service_id: str, change: int) -> None:
        copies = self._copies.setdefault(service_id, {})
        count = copies.get(info, 0) + change
        if count:
            copies[info] = count
            return
        copies.pop(info, None)
        if not copies:
            del self._copies[service_id]

    def _look_again(self, info: NodeInfo) -> None:
        for pool in self._pools.values():
            pool.update(info)
        self._changed.add(info.id)


class Changes:
    """Which waiting tasks may fare better, or wait for another reason, than when they were last looked at."""

    def __init__(self, node_ids: set[str], pools: Mapping[Requirements, Pool]) -> None:
        self._nodes = node_ids
        self._known = frozenset(pools)
        self._pools = frozenset(requirements for requirements, pool in pools.items() if pool.changed)
        for pool in pools.values():
            pool.changed = False

    def __bool__(self) -> bool:
        return bool(self._nodes or self._pools)

    def concern(self, waits_on: Requirements | str) -> bool:
        """`waits_on` is a node's id, or requirements: any node may have changed for those that are not indexed."""
        if isinstance(waits_on, str):
            return waits_on in self._nodes
        return waits_on in self._pools or (waits_on not in self._known and bool(self._nodes))
