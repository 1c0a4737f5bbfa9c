"""A manager: its copy of the store, its place in the log, what it serves, and, while it leads, the leader's loops."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import grpc

from core.clock import Clock, WallClock
from core.errors import PyswarmError, Unavailable
from core.ids import new_id
from core.logs import logger
from core.model import Cluster
from core.ports import JOINING_OFFSET
from identity.access import AccessInterceptor
from identity.channels import SERVER_OPTIONS, listen
from identity.credentials import Credentials
from identity.model import NodeIdentity
from manager.backup import write_copy
from manager.ca import Authority, NodeCAService, authorize, bootstrap_server
from manager.config import TIMING, Founding, ManagerConfig
from manager.control import Control, ControlServicer, RoutedControl
from manager.controllers import new_controllers
from manager.dispatcher import Dispatcher, DispatcherServicer
from manager.joining import announce, join
from manager.leader import LeaderLoop
from manager.logbroker import LogBroker
from manager.logkeys import with_log_key
from manager.replicator import Replicator
from manager.roles import RoleManager
from manager.store import Commit, Store, Transaction
from proto.access_pb2 import Access
from proto.ca_pb2_grpc import add_NodeCAServicer_to_server
from proto.control_pb2_grpc import add_ControlServicer_to_server
from proto.dispatcher_pb2_grpc import add_DispatcherServicer_to_server
from proto.raft_pb2_grpc import add_RaftServicer_to_server
from raft import Leadership, Member, open_member

_LEAD_SECONDS = 30.0
_STOP_GRACE = 0.5

log = logger("manager")


class Manager:
    """Made on the loop. From `start` to `stop`; what it holds stays on disk."""

    def __init__(self, config: ManagerConfig, credentials: Credentials, clock: Clock, *, founding: bool) -> None:
        self.store = Store()
        self._config = config
        self._credentials = credentials
        self._raft = with_log_key(
            config.log_keys,
            lambda key: open_member(
                config.folder,
                config.addr,
                credentials,
                self.store,
                bootstrap=founding,
                timing=TIMING,
                unlock_key=key,
            ),
        )
        replicator = Replicator(self.store, self._raft, clock)
        self._replicator = replicator
        self._dispatcher = Dispatcher(
            self.store, replicator, clock, new_id, self._raft.members, self._leader_addr, self._nudge
        )
        self._logs = LogBroker(self.store, self._dispatcher.sessions, clock, new_id)
        self._local_control = Control(
            self.store,
            replicator,
            clock,
            read_barrier=self._raft.read_barrier,
            members=self._raft.members,
            logs=self._logs.logs,
            is_suspect=self._dispatcher.is_suspect,
        )
        self.control = RoutedControl(self._local_control, self._raft, credentials)
        self.authority = Authority(self.store, replicator, self._raft, credentials, WallClock(), new_id)
        self._roles = RoleManager(self.store, replicator, self._raft, self._dispatcher.is_worker)
        self._loop = LeaderLoop(
            self.store, replicator, clock, lambda: new_controllers(new_id, self._dispatcher.is_suspect)
        )
        self._servers: list[grpc.aio.Server] = []
        self._leading: asyncio.Task[None] | None = None
        self._announcing: asyncio.Task[None] | None = None
        self._led = asyncio.Event()
        self._watch_cluster(self._follow_settings)
        self._unwatch = self._raft.watch_leadership(self._follow)

    @property
    def is_leader(self) -> bool:
        return self._raft.leadership.is_leader

    @property
    def members(self) -> Sequence[Member]:
        return self._raft.members()

    @property
    def unlock_key(self) -> bytes | None:
        """With which managers lock their keys on disk, as far as this one knows: empty if they do not, None before it
        holds the cluster's state."""
        return self.store.cluster.unlock_key if self.store.cluster is not None else None

    def watch_unlock_key(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back when it may be another; returns what ends that."""
        return self._watch_cluster(callback)

    def _watch_cluster(self, callback: Callable[[], None]) -> Callable[[], None]:
        def take(commit: Commit) -> None:
            if commit.restored or any(isinstance(event.object, Cluster) for event in commit.events):
                callback()

        return self.store.watch(take)

    async def lock_log(self, key: bytes) -> None:
        """Returns once the log on disk opens only with `key`, or without one if that is empty. Raises what
        RaftNode.rotate_key raises."""
        await self._raft.rotate_key(key)

    async def backup(self, passphrase: str) -> Iterator[bytes]:
        """The whole state, sealed; as manager.backup's `write_copy`. Raises what a read barrier raises."""
        await self._raft.read_barrier()
        return write_copy(self.store, passphrase)

    async def ended(self) -> str | None:
        """Returns when its place in the log is given up: with the reason if it had to be, None after `stop`."""
        failure = await self._raft.ended()
        return failure.message if failure is not None else None

    async def start(self, founding: Founding | None, managers: Sequence[str]) -> None:
        """Serves, and takes its place: founds the cluster, joins it through one of `managers`, or goes on; if it is the
        only manager it leads when this returns.

        Raises Unavailable if a port is taken or no manager answers, and what raft's `join` raises.
        """
        await self._serve()
        await self._raft.start()
        if founding is not None:
            await self._found(founding)
        elif not self._raft.joined:
            await join(self._raft, managers)
        else:
            # Its address may be another than before the restart; there may be no leader yet to tell.
            self._announcing = asyncio.create_task(announce(self._raft, managers))
            if len(self.members) == 1:
                await self._until_leading()

    async def stop(self) -> None:
        """A leader hands over first. Sessions are told where to go."""
        self._unwatch()
        await _cancelled(self._announcing)
        await _cancelled(self._leading)
        await self._raft.stop()
        await self.control.close()
        self._local_control.close()
        for server in self._servers:
            await server.stop(grace=_STOP_GRACE)

    # -- start

    async def _serve(self) -> None:
        config = self._config
        clock = WallClock()
        interceptor = AccessInterceptor(self._authorize, clock, self._only_root)
        self._watch_cluster(interceptor.root_changed)
        server = grpc.aio.server(interceptors=[interceptor], options=list(SERVER_OPTIONS))
        add_RaftServicer_to_server(self._raft.servicer, server)
        add_NodeCAServicer_to_server(NodeCAService(self.authority), server)
        add_ControlServicer_to_server(ControlServicer(self._local_control), server)
        add_DispatcherServicer_to_server(DispatcherServicer(self._dispatcher, self._logs), server)
        joining = bootstrap_server(self.authority, clock)
        for each, port, credentials in (
            (server, config.listen_port, self._credentials.server_credentials()),
            (joining, config.listen_port + JOINING_OFFSET, self._credentials.bootstrap_server_credentials()),
        ):
            listen(each, _address(config.listen_host, port), credentials)
            await each.start()
            self._servers.append(each)

    async def _found(self, founding: Founding) -> None:
        await self._until_leading()

        def create(tx: Transaction) -> None:
            tx.create(founding.cluster)
            tx.create(founding.node)

        await self._replicator.update(create)

    async def _until_leading(self) -> None:
        try:
            async with asyncio.timeout(_LEAD_SECONDS):
                await self._led.wait()
        except TimeoutError:
            raise Unavailable(f"this manager does not lead its cluster after {_LEAD_SECONDS:g} s") from None

    def _follow_settings(self) -> None:
        if self.store.cluster is not None:
            spec = self.store.cluster.spec
            self._raft.set_snapshots(spec.snapshot_interval, spec.keep_old_snapshots)

    # -- leadership

    def _follow(self, leadership: Leadership) -> None:
        if leadership.is_leader and self._leading is None:
            log.info("this manager leads", term=leadership.term)
            self._leading = asyncio.create_task(self._lead())
            self._led.set()
        elif not leadership.is_leader and self._leading is not None:
            log.info("this manager no longer leads", leader=leadership.leader_addr)
            self._leading.cancel()
            self._leading = None

    async def _lead(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._dispatcher.run())
                group.create_task(self._logs.run())
                group.create_task(self._loop.run())
                group.create_task(self._roles.run())
        except Exception:
            # What failed is a fault of ours; another manager may not have it.
            log.exception("the leader's loops failed; handing over")
            with suppress(PyswarmError):
                await self._raft.transfer_leadership()

    def _nudge(self) -> None:
        self._loop.nudge()

    def _leader_addr(self) -> str:
        return self._raft.leadership.leader_addr

    def _only_root(self) -> bytes:
        """Empty while it is not known, or more than one signs what is good."""
        cluster = self.store.cluster
        return cluster.root_ca.cert if cluster is not None and cluster.root_ca.rotation is None else b""

    def _authorize(self, identity: NodeIdentity, access: Access.ValueType) -> None:
        authorize(self.store, identity, access)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _cancelled(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
