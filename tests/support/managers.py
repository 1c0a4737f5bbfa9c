"""Managers of one cluster in this process: real certificates, gRPC and disks, and a state machine that remembers."""

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from core.clock import MILLISECOND, SECOND
from core.ids import new_id
from core.model import Role
from identity.channels import SERVER_OPTIONS
from identity.credentials import Credentials
from identity.keys import new_key_and_csr
from identity.model import NodeIdentity
from identity.root import create_root, issue
from proto.raft_pb2_grpc import add_RaftServicer_to_server
from raft import Leadership, RaftNode, Timing, open_member
from tests.support.waiting import PATIENCE

STEADY = Timing(
    heartbeat=50 * MILLISECOND,
    election_min=20 * SECOND,
    election_max=30 * SECOND,
    check_quorum=60 * SECOND,
    request=60 * SECOND,
)
"""Who leads goes on, however long the machine stands still, until it hands over or its streams break: then another one
leads at once."""
_DAY = 86_400 * SECOND


class Authority:
    """Issues certificates for one cluster."""

    def __init__(self) -> None:
        self.cluster_id = new_id()
        self.root, self._key = create_root(time.time_ns())

    def credentials(self, node_id: str, role: Role = Role.MANAGER) -> Credentials:
        return Credentials(*self.issue(node_id, role), self.root)

    def issue(self, node_id: str, role: Role = Role.MANAGER) -> tuple[bytes, bytes]:
        """A new key and its certificate."""
        key, csr = new_key_and_csr()
        identity = NodeIdentity(node_id, role, self.cluster_id)
        return key, issue(self.root, self._key, csr, identity, time.time_ns(), _DAY)


class Notebook:
    """A state machine: the commands it was given, in order."""

    def __init__(self) -> None:
        self.applied: list[tuple[int, bytes]] = []

    @property
    def commands(self) -> list[bytes]:
        return [command for _, command in self.applied]

    def apply(self, index: int, request_id: bytes, command: bytes) -> None:
        self.applied.append((index, command))

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        held = tuple(self.applied)

        def chunks() -> Iterator[bytes]:
            for index, command in held:
                yield json.dumps([index, command.hex()]).encode()

        return chunks

    def thaw(self, index: int, chunks: Iterator[bytes]) -> Callable[[], None]:
        applied = [(at, bytes.fromhex(command)) for at, command in map(json.loads, chunks)]

        def use() -> None:
            self.applied = applied

        return use


class Manager:
    """A member that can be killed and started again on the same disk."""

    def __init__(self, authority: Authority, folder: Path, timing: Timing) -> None:
        self.id = new_id()
        self.credentials = authority.credentials(self.id)
        self.folder = folder / self.id
        self.timing = timing
        self.addr = ""
        self.notebook = Notebook()
        self.raft: RaftNode
        self._server: grpc.aio.Server | None = None

    async def start(self, bootstrap: bool = False, keep_addr: bool = True) -> None:
        self.notebook = Notebook()
        server = self._server = grpc.aio.server(options=SERVER_OPTIONS)
        wanted = self.addr if keep_addr and self.addr else "127.0.0.1:0"
        port = server.add_secure_port(wanted, self.credentials.server_credentials())
        self.addr = f"127.0.0.1:{port}"
        self.raft = open_member(
            self.folder, self.addr, self.credentials, self.notebook, bootstrap=bootstrap, timing=self.timing
        )
        add_RaftServicer_to_server(self.raft.servicer, server)
        await server.start()
        await self.raft.start()

    async def stop(self) -> None:
        """As on SIGTERM."""
        await self.raft.stop()
        await self._close()

    async def kill(self) -> None:
        """As near to kill -9 as one process allows: nothing is handed over, nothing synced."""
        self.raft._engine.quit = True
        await self.raft._thread.stop()
        self.raft._mailbox.close()
        await self._close()
        await self.raft._links.close()

    async def propose(self, command: bytes) -> int:
        return await self.raft.propose(command, new_id().encode())

    def notice_silence_soon(self) -> None:
        """While it leads: in half a second, though it does not step down."""
        self.raft._engine._answers._limit = SECOND // 2

    @property
    def leadership(self) -> Leadership:
        return self.raft.leadership

    async def _close(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None


class Cluster:
    def __init__(self, folder: Path, timing: Timing) -> None:
        self.authority = Authority()
        self.folder = folder
        self.timing = timing
        self.managers: list[Manager] = []

    async def grow(self, count: int) -> None:
        for _ in range(count):
            manager = Manager(self.authority, self.folder, self.timing)
            await manager.start(bootstrap=not self.managers)
            self.managers.append(manager)
            if len(self.managers) > 1:
                await manager.raft.join(self.managers[0].addr)
            else:
                await until(lambda manager=manager: manager.leadership.is_leader)

    async def leader(self, *without: Manager) -> Manager:
        alive = [manager for manager in self.managers if manager not in without]
        await until(lambda: any(manager.leadership.is_leader for manager in alive))
        return next(manager for manager in alive if manager.leadership.is_leader)


@asynccontextmanager
async def cluster(folder: Path, size: int, timing: Timing = STEADY) -> AsyncIterator[Cluster]:
    made = Cluster(folder, timing)
    try:
        await made.grow(size)
        yield made
    finally:
        await asyncio.gather(*(manager.kill() for manager in made.managers if manager._server is not None))
        gc.collect()  # a gRPC server must not be found dead after its loop: its destructor would fail


async def until(condition: Callable[[], bool]) -> None:
    """Returns once `condition` holds; fails the test if that takes longer than it ever should."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
