"""A follower's control API, and the leaders it talks to over real gRPC with mutual TLS. Who leads is played."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

from core.errors import NotLeader, Unavailable
from core.ids import new_id
from identity.access import AccessInterceptor
from identity.channels import SERVER_OPTIONS
from identity.credentials import Credentials
from manager.control import ControlServicer, RoutedControl
from proto.control_pb2_grpc import add_ControlServicer_to_server
from raft import Leadership
from tests.support.control_world import ControlWorld
from tests.support.managers import Authority


@dataclass
class Follower:
    """What a follower's log knows of who leads."""

    leadership: Leadership = field(default_factory=Leadership)
    absence: Unavailable = field(default_factory=NotLeader)
    """Why there is no leader, when there is none."""
    has_quorum: bool = True
    _watchers: list[Callable[[Leadership], None]] = field(default_factory=list)

    def no_leader(self) -> Unavailable:
        return self.absence

    def watch_leadership(self, callback: Callable[[Leadership], None]) -> Callable[[], None]:
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def follow(self, leader_id: str, addr: str, is_leader: bool = False) -> None:
        self.leadership = Leadership(self.leadership.term + 1, leader_id, addr, is_leader)
        for watcher in self._watchers:
            watcher(self.leadership)


class Leader:
    """A manager that serves the control API of its own store."""

    def __init__(self, authority: Authority) -> None:
        self.id = new_id()
        self.credentials = authority.credentials(self.id)
        self.world = ControlWorld()
        self.addr = ""
        self._server: grpc.aio.Server | None = None

    async def start(self) -> "Leader":
        await self.world.manager.found()
        interceptor = AccessInterceptor(lambda identity, access: None)
        server = self._server = grpc.aio.server(interceptors=[interceptor], options=list(SERVER_OPTIONS))
        add_ControlServicer_to_server(ControlServicer(self.world.control), server)
        port = server.add_secure_port(self.addr or "127.0.0.1:0", self.credentials.server_credentials())
        self.addr = f"127.0.0.1:{port}"
        await server.start()
        return self

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None


class Cluster:
    def __init__(self) -> None:
        self.authority = Authority()
        self.follower = Follower()
        self.credentials: Credentials = self.authority.credentials(new_id())
        self.local = ControlWorld()
        self.local.manager.consensus.leadership = Leadership()
        self.control = RoutedControl(self.local.control, self.follower, self.credentials)  # type: ignore[arg-type]
        self.leaders: list[Leader] = []

    async def add_leader(self) -> Leader:
        leader = await Leader(self.authority).start()
        self.leaders.append(leader)
        return leader

    def follow(self, leader: Leader) -> None:
        self.follower.follow(leader.id, leader.addr)


@asynccontextmanager
async def made_cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.follow(await cluster.add_leader())
        yield cluster
    finally:
        await cluster.control.close()
        await asyncio.gather(*(leader.stop() for leader in cluster.leaders))
        gc.collect()
