"""A store with one manager that writes to it: every proposal is committed at once."""

from collections.abc import Callable

from core.clock import Clock
from core.errors import NotLeader
from core.ids import new_id
from core.model import Cluster, Node, NodeSpec, Role
from manager.ca import new_cluster
from manager.replicator import Replicator
from manager.store import Store, Transaction
from raft import Leadership, Member


class LoneConsensus:
    """Applies what is proposed. `leadership` may be set to play a follower."""

    def __init__(self, store: Store) -> None:
        self.leadership = Leadership(term=1, leader_id="one", leader_addr="one:2377", is_leader=True)
        self._store = store

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def propose(self, command: bytes, request_id: bytes) -> int:
        if not self.leadership.is_leader:
            raise NotLeader(self.leadership.leader_addr)
        self._store.apply(self._store.index + 1, request_id, command)
        return self._store.index

    async def read_barrier(self) -> None: ...

    @property
    def has_quorum(self) -> bool:
        return True

    def no_leader(self) -> NotLeader:
        return NotLeader()

    def watch_leadership(self, callback: Callable[[Leadership], None]) -> Callable[[], None]:
        return lambda: None

    def members(self) -> tuple[Member, ...]:
        return ()

    async def add_member(self, node_id: str, addr: str, incarnation: int) -> None: ...

    async def remove_member(self, node_id: str) -> None: ...

    async def transfer_leadership(self) -> None: ...


class OneManager:
    """A store that holds a cluster, and what writes to it."""

    def __init__(self, clock: Clock) -> None:
        self.store = Store()
        self.consensus = LoneConsensus(self.store)
        self.replicator = Replicator(self.store, self.consensus, clock)
        self._clock = clock

    async def found(self) -> Cluster:
        """Makes the cluster, as init does."""
        made = new_cluster(self._clock.now(), new_id)
        await self.replicator.update(lambda tx: tx.create(made))
        return self.cluster

    @property
    def cluster(self) -> Cluster:
        assert self.store.cluster is not None
        return self.store.cluster

    def node(self, node_id: str) -> Node:
        found = self.store.node(node_id)
        assert found is not None
        return found

    async def add_node(self, node_id: str, role: Role = Role.WORKER) -> Node:
        await self.replicator.update(lambda tx: tx.create(Node(id=node_id, role=role, spec=NodeSpec(role=role))))
        return self.node(node_id)

    async def change(self, decide: Callable[[Transaction], None]) -> None:
        await self.replicator.update(decide)
