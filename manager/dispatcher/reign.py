"""One leadership as the agents see it: their sessions, and what their reports and their silence make of the store."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from core.clock import SECOND, Clock
from core.codec import decode, encode
from core.errors import InvalidArgument, PyswarmError, Removed, Unavailable
from core.ids import IdSource
from core.logs import logger
from core.model import (
    Cluster,
    IngressAck,
    Node,
    NodeDescription,
    NodeState,
    Role,
    Task,
    TaskState,
)
from identity.model import NodeIdentity
from manager.dispatcher import nodes
from manager.dispatcher.broadcast import IngressBroadcast
from manager.dispatcher.drain import is_stopping
from manager.dispatcher.info import cluster_info, session_info
from manager.dispatcher.ingress_state import IngressTable
from manager.dispatcher.liveness import Liveness
from manager.dispatcher.node_writer import NodeWriter
from manager.dispatcher.registrations import Registrations
from manager.dispatcher.releases import Releases
from manager.dispatcher.report_writer import ReportWriter
from manager.dispatcher.reports import read_report
from manager.dispatcher.session import AgentSession
from manager.dispatcher.silence import Silence
from manager.dispatcher.turnstile import Turnstile
from manager.dispatcher.writes import OBJECT_SIZE, WriteQueue
from manager.replicator import Replicator
from manager.store import Commit, Event, EventKind, Store
from proto import dispatcher_pb2 as pb
from raft import Member

_ROLE_LIMIT = 5.0
"""Seconds for a demoted node to come back with its new certificate before its session is cut."""

log = logger("manager.dispatcher")


class Reign:
    """Made on the loop, and run at once: from then on it follows the store.

    `sessions`, by node, are empty at first. `on_suspicion` is called when `liveness` suspects another node.
    """

    def __init__(
        self,
        store: Store,
        replicator: Replicator,
        clock: Clock,
        ids: IdSource,
        members: Callable[[], Sequence[Member]],
        on_suspicion: Callable[[], None],
        sessions: dict[str, AgentSession],
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._members = members
        self._on_suspicion = on_suspicion
        self._sessions = sessions
        self._writes = WriteQueue(replicator)
        self._reports = ReportWriter(self._writes)
        self._certificates = NodeWriter(store, self._writes)
        self._port_errors = NodeWriter(store, self._writes)
        self._cluster = cluster_info(store, members())
        self.liveness = Liveness(self._cluster.heartbeat_period)
        self._registrations = Registrations()
        self._ingress = IngressTable(store, store.index)
        self._turnstile = Turnstile()
        self._broadcast = IngressBroadcast(self._ingress, sessions)
        self._releases = Releases(clock, self._released)
        self._silence = Silence(self.liveness, self._writes, clock, self._fell_silent)
        self._ended = False

    async def run(self) -> None:
        """Until cancelled."""
        unwatch = self._store.watch(self._take)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._writes.run())
                group.create_task(self._take_over())
                group.create_task(self._keep_informed())
                group.create_task(self._silence.run())
                group.create_task(self._broadcast.run())
        finally:
            self._ended = True
            unwatch()
            self._releases.close()

    # -- sessions

    async def register(self, identity: NodeIdentity, description: NodeDescription, addr: str) -> AgentSession:
        """A new session, in place of the node's last one. Raises Unavailable if it comes too often, NotFound or
        Removed for a node that is not in the cluster, and what the log raises."""
        node_id = identity.node_id
        now = self._clock.now()
        if not self._registrations.admit(node_id, now):
            raise Unavailable(f"node {node_id} opens too many sessions; it may try again in a few seconds")
        # From here on it is not silent: no older finding may be written after its registration.
        self.liveness.heard(node_id, now)
        size = OBJECT_SIZE + encode(description).ByteSize()
        try:
            await self._writes.submit(
                partial(nodes.register, node_id=node_id, description=description, addr=addr), size
            )
        except PyswarmError:
            self._registrations.take_back(node_id)
            raise
        if self._ended:
            raise Unavailable("this manager does not lead any more")
        node = self._store.node(node_id)
        if node is None:
            raise Removed(node_id)
        session = AgentSession(self._ids(), node_id, identity.role, self._turnstile)
        self._close(node_id, Unavailable(f"node {node_id} has opened another session"))
        self._sessions[node_id] = session
        session.tell(session_info(self._cluster, node))
        session.follow(self._broadcast.message())
        if self.liveness.is_suspect(node_id):
            self.liveness.trust(node_id)
            self._on_suspicion()
        log.info("node registered", node=node_id, hostname=description.hostname, addr=addr)
        return session

    def left(self, session: AgentSession) -> None:
        """The session's stream has ended."""
        session.close()
        if self._sessions.get(session.node_id) is session:
            del self._sessions[session.node_id]
            self.liveness.broken(session.node_id)
            self._on_suspicion()
            self._releases.left(session.node_id)

    def take(self, session: AgentSession, message: pb.AgentMessage) -> None:
        """What the agent says. Raises InvalidArgument and PermissionDenied."""
        if session.closed:
            return
        self.liveness.heard(session.node_id, self._clock.now())
        match message.WhichOneof("body"):
            case "status":
                statuses = read_report(message.status, session.node_id, self._store)
                self._reports.add(session, message.status.sequence, statuses)
            case "ingress_ack":
                self._take_ack(session.node_id, decode(IngressAck, message.ingress_ack))
            case "certificate":
                self._take_certificate(session.node_id, message.certificate)
            case "register":
                raise InvalidArgument("a session registers once; open another one")

    def next_assignments(self, session: AgentSession) -> list[pb.Assignments]:
        return session.assignments.next(self._store, self._is_released)

    def _close(self, node_id: str, error: PyswarmError) -> None:
        session = self._sessions.pop(node_id, None)
        if session is not None:
            session.close(error)

    # -- what nodes say of themselves

    def _take_ack(self, node_id: str, ack: IngressAck) -> None:
        self._releases.acked(node_id, ack.version)
        errors = tuple(error for error in ack.errors if self._ingress.publishes(error.published_port))
        self._port_errors.say(node_id, partial(nodes.with_port_errors, errors=errors))

    def _take_certificate(self, node_id: str, held: pb.HeldCertificate) -> None:
        if max(len(held.issuer), len(held.trust_root)) > nodes.DIGEST:
            raise InvalidArgument("that is no digest")
        change = partial(nodes.with_certificate, issuer=held.issuer, trust_root=held.trust_root)
        self._certificates.say(node_id, change)

    # -- silence

    async def _take_over(self) -> None:
        alive = [node.id for node in self._store.nodes() if node.status.state is not NodeState.DOWN]
        stopping = [task.id for task in self._store.tasks() if is_stopping(task)]
        self._releases.begin(self._ingress.version, stopping, alive)
        await self._silence.expect(alive)

    def _fell_silent(self, node_id: str) -> None:
        self._close(node_id, Unavailable("no heartbeat came in time"))
        self._releases.left(node_id)

    # -- the store's changes

    def _take(self, commit: Commit) -> None:
        cluster_changed = False
        for event in commit.events:
            item = event.object
            if isinstance(item, Task):
                if item.node_id in self._sessions:
                    self._sessions[item.node_id].touch(item.id)
            elif isinstance(item, Node):
                self._take_node(event, item)
                cluster_changed = cluster_changed or event.kind is not EventKind.UPDATE
            else:
                cluster_changed = cluster_changed or isinstance(item, Cluster)
        if cluster_changed:
            self._refresh_cluster()
        change = self._ingress.observe(self._store, commit.events, commit.index)
        if change.is_new:
            self._broadcast.changed()
        if change.stopping:
            self._releases.begin(self._ingress.version, change.stopping, self._sessions)

    def _take_node(self, event: Event, node: Node) -> None:
        if event.kind is EventKind.DELETE:
            self._close(node.id, Removed(node.id))
            self._releases.left(node.id)
            self._registrations.forget(node.id)
            self.liveness.forget(node.id)
        elif node.status.state is NodeState.DOWN and not self.liveness.is_alive(node.id):
            self.liveness.forget(node.id)
        session = self._sessions.get(node.id)
        if session is None or event.kind is not EventKind.UPDATE:
            return
        session.tell(session_info(self._cluster, node))
        was_manager = isinstance(event.old, Node) and event.old.role is Role.MANAGER
        if was_manager and node.role is Role.WORKER and session.role is Role.MANAGER:
            error = Unavailable(f"node {node.id} is no manager any more; it must come with its new certificate")
            asyncio.get_running_loop().call_later(_ROLE_LIMIT, session.close, error)

    async def _keep_informed(self) -> None:
        """Of the log's members the store says nothing."""
        while True:
            self._refresh_cluster()
            await asyncio.sleep(self.liveness.period / SECOND)

    def _refresh_cluster(self) -> None:
        cluster = cluster_info(self._store, self._members())
        if cluster == self._cluster:
            return
        self._cluster = cluster
        self.liveness.period = cluster.heartbeat_period
        for node_id, session in self._sessions.items():
            node = self._store.node(node_id)
            if node is not None:
                session.tell(session_info(cluster, node))

    # -- drain

    def _is_released(self, task: Task) -> bool:
        return task.desired_state >= TaskState.SHUTDOWN and not self._releases.is_waiting(task.id)

    def _released(self, task_id: str) -> None:
        task = self._store.task(task_id)
        if task is not None and task.node_id in self._sessions:
            self._sessions[task.node_id].touch(task_id)
