"""The dispatcher: every agent's session, and what their reports and their silence make of the store."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from core.clock import SECOND, Clock
from core.codec import encode
from core.errors import NotLeader, PermissionDenied, PyswarmError, Unavailable
from core.ids import IdSource
from core.logs import logger
from core.model import (
    Cluster,
    ClusterSpec,
    IngressAck,
    Node,
    NodeDescription,
    NodeState,
    NodeStatus,
    PortError,
    Task,
    TaskState,
    TaskStatus,
)
from manager.dispatcher import reports
from manager.dispatcher.ingress_state import GRACE, Routes
from manager.dispatcher.liveness import Liveness, period
from manager.dispatcher.session import AgentSession
from manager.replicator import Replicator
from manager.store import Commit, Event, EventKind, Store
from proto import dispatcher_pb2 as pb
from raft import Member

_RATE, _RATE_WINDOW = 3, 8 * SECOND
_SWEEP = SECOND // 4
_RETRY = 0.2

log = logger("manager.dispatcher")


class Dispatcher:
    """Serves sessions while `run` runs, that is while this manager leads; refuses them otherwise."""

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
        self._store = store
        self._replicator = replicator
        self._clock = clock
        self._ids = ids
        self._members = members
        self._leader_addr = leader_addr
        self._on_suspicion = on_suspicion
        self._liveness = Liveness(ClusterSpec().heartbeat_period)
        self._routes = Routes()
        self.sessions: dict[str, AgentSession] = {}
        """By node id."""
        self._registrations: dict[str, deque[int]] = {}
        self._statuses: dict[str, tuple[str, TaskStatus]] = {}
        self._acks: list[tuple[AgentSession, int]] = []
        self._port_errors: dict[str, tuple[PortError, ...]] = {}
        self._report = asyncio.Event()
        self._leading = False

    def is_suspect(self, node_id: str) -> bool:
        """Whether its connection has just broken: it gets no new tasks until it is heard of again."""
        return self._liveness.is_suspect(node_id)

    async def run(self) -> None:
        """Until cancelled."""
        await self._take_over()
        unwatch = self._store.watch(self._take)
        self._leading = True
        log.info("dispatcher serves")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sweep())
                group.create_task(self._write_reports())
        finally:
            self._leading = False
            unwatch()
            for session in list(self.sessions.values()):
                session.close(NotLeader(self._leader_addr()))
            self.sessions.clear()

    async def register(self, node_id: str, description: NodeDescription, addr: str) -> AgentSession:
        """A new session, in place of the node's last one. Raises NotLeader, Unavailable, PermissionDenied."""
        if not self._leading:
            raise NotLeader(self._leader_addr())
        self._limit(node_id)
        registration = reports.Registration(node_id, description, addr)
        node = await self._replicator.update(lambda tx: reports.record_registration(tx, registration))
        if node is None or not self._leading:
            raise PermissionDenied(f"node {node_id} was removed from the cluster") if node is None else NotLeader()
        session = AgentSession(self._ids(), node_id)
        previous = self.sessions.get(node_id)
        if previous is not None:
            previous.close(Unavailable("the node has opened another session"))
        self.sessions[node_id] = session
        self._heard(node_id)
        self._tell(session)
        log.info("node registered", node=node_id, hostname=description.hostname, addr=addr)
        return session

    def ended(self, session: AgentSession) -> None:
        """The session's stream is gone."""
        session.close()
        if self.sessions.get(session.node_id) is session:
            del self.sessions[session.node_id]
            self._liveness.broken(session.node_id)
            self._on_suspicion()
            self._release_all()

    def heartbeat(self, session: AgentSession) -> None:
        if not session.closed.is_set():
            self._heard(session.node_id)

    def report(self, session: AgentSession, sequence: int, statuses: dict[str, TaskStatus]) -> None:
        """Raises PermissionDenied if it speaks of another node's task. Acknowledged once it is committed."""
        self.heartbeat(session)
        for task_id in statuses:
            task = self._store.task(task_id)
            if task is not None and task.node_id != session.node_id:
                raise PermissionDenied(f"task {task_id} is not one of node {session.node_id}")
        self._statuses |= {task_id: (session.node_id, status) for task_id, status in statuses.items()}
        self._acks.append((session, sequence))
        self._report.set()

    def ingress_applied(self, session: AgentSession, ack: IngressAck) -> None:
        self.heartbeat(session)
        node = self._store.node(session.node_id)
        if node is not None and node.port_errors != ack.errors:
            self._port_errors[session.node_id] = ack.errors
            self._report.set()
        asyncio.get_running_loop().call_later(GRACE / SECOND, self._routed, session, ack.version)

    def messages(self, session: AgentSession) -> AsyncIterator[pb.DispatcherMessage]:
        """What to write to its stream, until it is closed; raises why it was."""
        return session.messages(self._store, self._is_released, lambda: self._routes.state)

    # -- leadership

    async def _take_over(self) -> None:
        self._registrations.clear()
        self._liveness = Liveness(self._period())
        self._routes.start(self._store, self._store.index + 1)
        alive = [node.id for node in self._store.nodes() if node.status.state is not NodeState.DOWN]
        unknown = NodeStatus(NodeState.UNKNOWN, "a new leader waits for the node to come to it")
        while True:
            try:
                await self._replicator.update(lambda tx: reports.record_states(tx, dict.fromkeys(alive, unknown)))
                break
            except Unavailable as error:
                log.warning("cannot take over yet", reason=error.message)
                await asyncio.sleep(_RETRY)
        self._liveness.take_over(alive, self._clock.now())

    def _period(self) -> int:
        spec = self._store.cluster.spec if self._store.cluster is not None else ClusterSpec()
        return period(spec.heartbeat_period, sum(1 for _ in self._store.nodes()))

    # -- silence

    async def _sweep(self) -> None:
        while True:
            now = self._clock.now()
            gone = self._liveness.overdue(now)
            if gone:
                await self._mark_down(gone)
            deadline = self._liveness.next_deadline()
            pause = _SWEEP if deadline is None else min(SECOND, max(_SWEEP, deadline - now))
            await asyncio.sleep(pause / SECOND)

    async def _mark_down(self, gone: list[str]) -> None:
        log.warning("nodes are down", nodes=gone)
        for node_id in gone:
            session = self.sessions.pop(node_id, None)
            if session is not None:
                session.close(Unavailable("no heartbeat came in time"))
        down = NodeStatus(NodeState.DOWN, "heartbeat failure")
        try:
            await self._replicator.update(lambda tx: reports.record_states(tx, dict.fromkeys(gone, down)))
        except PyswarmError as error:
            log.warning("could not mark nodes down; will try again", reason=error.message)
            self._liveness.take_over([n for n in gone if n not in self.sessions], self._clock.now())
        self._release_all()

    def _heard(self, node_id: str) -> None:
        was_suspect = self._liveness.is_suspect(node_id)
        self._liveness.heard(node_id, self._clock.now())
        if was_suspect:
            self._on_suspicion()

    def _limit(self, node_id: str) -> None:
        """A node that opens session after session is in trouble that more sessions do not cure."""
        times = self._registrations.setdefault(node_id, deque(maxlen=_RATE))
        now = self._clock.now()
        if len(times) == _RATE and now - times[0] < _RATE_WINDOW:
            raise Unavailable("the node opens too many sessions; try again in a few seconds")
        times.append(now)

    # -- reports

    async def _write_reports(self) -> None:
        while True:
            await self._report.wait()
            self._report.clear()
            statuses, self._statuses = self._statuses, {}
            acks, self._acks = self._acks, []
            errors, self._port_errors = self._port_errors, {}
            try:
                await self._replicator.update(partial(reports.record, statuses=statuses, port_errors=errors))
            except PyswarmError as error:
                log.warning("reports were not written; agents will send them again", reason=error.message)
                for session, _ in acks:
                    session.close(Unavailable("the report was not written; send it again"))
                continue
            for session, sequence in acks:
                session.send(pb.DispatcherMessage(status_ack=pb.StatusAck(sequence=sequence)))

    # -- the store's changes

    def _take(self, commit: Commit) -> None:
        if commit.restored:
            return
        for event in commit.events:
            self._dispatch(event)
        if self._routes.observe(self._store, commit.events):
            for session in self.sessions.values():
                session.ingress_changed()
        if any(isinstance(event.object, Node | Cluster) for event in commit.events):
            self._liveness.period = self._period()
            for session in list(self.sessions.values()):
                self._tell(session)

    def _dispatch(self, event: Event) -> None:
        item = event.object
        if isinstance(item, Task) and item.node_id:
            session = self.sessions.get(item.node_id)
            if session is not None:
                session.touch(item.id)
        elif isinstance(item, Node) and event.kind is EventKind.DELETE:
            self._liveness.forget(item.id)
            session = self.sessions.pop(item.id, None)
            if session is not None:
                session.close(PermissionDenied(f"node {item.id} was removed from the cluster"))

    def _tell(self, session: AgentSession) -> None:
        node, cluster = self._store.node(session.node_id), self._store.cluster
        if node is None or cluster is None:
            return
        told = Node(id=node.id, spec=node.spec, role=node.role, certificate_issuer=node.certificate_issuer)
        session.tell(
            pb.SessionInfo(
                node=encode(told),
                managers=[pb.ManagerPeer(node_id=m.node_id, addr=m.addr) for m in self._members()],
                root_ca=cluster.root_ca.cert,
                heartbeat_period=self._liveness.period,
                node_cert_expiry=cluster.spec.node_cert_expiry,
            )
        )

    # -- drain

    def _is_released(self, task: Task) -> bool:
        """Whether every live node has acknowledged routes without the task."""
        version = self._routes.version_without(task)
        return all(session.acked_ingress >= version for session in self.sessions.values())

    def _routed(self, session: AgentSession, version: int) -> None:
        session.acked_ingress = max(session.acked_ingress, version)
        self._release_all()

    def _release_all(self) -> None:
        for session in self.sessions.values():
            for task in self._store.tasks_of_node(session.node_id):
                if task.desired_state > TaskState.RUNNING and task.status.state <= TaskState.RUNNING:
                    session.touch(task.id)
