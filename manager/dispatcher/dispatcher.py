"""The dispatcher: serves the agents' sessions while this manager leads, and sends them to the leader otherwise."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from core.clock import Clock
from core.errors import NotLeader
from core.ids import IdSource
from core.logs import logger
from core.model import NodeDescription, Role
from identity.model import NodeIdentity
from manager.dispatcher.reign import Reign
from manager.dispatcher.session import AgentSession
from manager.replicator import Replicator
from manager.store import Store
from raft import Member

log = logger("manager.dispatcher")


class Dispatcher:
    """`leader_addr` is the host:port of the leader, empty if none is known. `on_suspicion` is called when the answer of
    `is_suspect` may have changed."""

    def __init__(
        self,
        store: Store,
        replicator: Replicator,
        clock: Clock,
        ids: IdSource,
        members: Callable[[], Sequence[Member]],
        leader_addr: Callable[[], str],
        on_suspicion: Callable[[], None],
    ) -> None:
        self._sessions: dict[str, AgentSession] = {}
        self._leader_addr = leader_addr
        self._reign: Reign | None = None
        self._begin = partial(Reign, store, replicator, clock, ids, members, on_suspicion, self._sessions)

    @property
    def sessions(self) -> Mapping[str, AgentSession]:
        """The open ones, by node. Always the same mapping."""
        return self._sessions

    def is_suspect(self, node_id: str) -> bool:
        """Whether the node's connection has broken: it gets no new tasks until it comes back, or is down."""
        return self._reign is not None and self._reign.liveness.is_suspect(node_id)

    def is_worker(self, node_id: str) -> bool:
        """Whether the node holds a session with a worker's certificate."""
        session = self._sessions.get(node_id)
        return session is not None and session.role is Role.WORKER

    async def run(self) -> None:
        """Until cancelled: to be run only while this manager leads. Agents are told where to go then."""
        self._reign = self._begin()
        log.info("the dispatcher serves")
        try:
            await self._reign.run()
        finally:
            self._reign = None
            for session in self._sessions.values():
                session.close(self._not_leader())
            self._sessions.clear()

    async def register(
        self, identity: NodeIdentity, description: NodeDescription, addr: str
    ) -> tuple[Reign, AgentSession]:
        """A new session, and where it is held. Raises NotLeader, and what Reign.register raises."""
        reign = self._reign
        if reign is None:
            raise self._not_leader()
        return reign, await reign.register(identity, description, addr)

    def _not_leader(self) -> NotLeader:
        return NotLeader(self._leader_addr())
