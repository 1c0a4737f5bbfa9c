"""Whole nodes in this process, each on an address of its own: real managers, certificates and disks. The engine is
played, and nothing is published."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.model import IngressAck, IngressState, PortError
from identity.credentials import Credentials
from pyswarm.engineapi.ports import InitRequest, JoinRequest
from pyswarm.node import member
from pyswarm.node.config import DaemonConfig
from pyswarm.node.local import LocalNodeApi
from pyswarm.node.state import StateDir
from tests.support.ports import free_port
from worker.executor.fake import FakeExecutor


class NoRelay:
    """In the place of ingress's RelayPorts."""

    unserved: tuple[PortError, ...] = ()

    def __init__(self, *_: object, **__: object) -> None: ...

    async def start(self) -> None: ...

    async def apply(self, state: IngressState) -> IngressAck:
        return IngressAck(state.version)

    async def rotate(self, credentials: Credentials) -> None: ...

    async def stop(self, kill: bool = False) -> None: ...


class LocalNode:
    def __init__(self, folder: Path, number: int, port: int) -> None:
        self.folder = folder / f"n{number}"
        self.addr = f"127.0.0.{number}:{port}"
        self.api: LocalNodeApi
        self._state: StateDir | None = None

    def start(self) -> None:
        """The daemon, which goes on with what the disk says once `resume` of its api is called."""
        self._state = StateDir(self.folder)
        config = DaemonConfig(self.folder, self.folder / "socket", "unix:///none", self.addr, "", "human", "info")
        self.api = LocalNodeApi(config, self._state)

    async def stop(self) -> None:
        if self._state is not None:
            await self.api.stop()
            self._state.close()
            self._state = None

    async def init(self, **fields: bool) -> str:
        return await self.api.init(InitRequest(self.addr, self.addr, **fields))

    async def join_as_manager(self, other: "LocalNode") -> None:
        token = (await other.api.control().get_cluster()).root_ca.manager_token
        await self.api.join(JoinRequest(self.addr, self.addr, (other.addr,), token))

    @property
    def reachable(self) -> int:
        """How many managers this one can reach, itself included; 0 if it is none."""
        manager = self.api.manager
        return 0 if manager is None else sum(each.reachable for each in manager.members)


@asynccontextmanager
async def local_nodes(folder: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[LocalNode]]:
    """Started, and in no cluster."""
    monkeypatch.setattr(member, "RelayPorts", NoRelay)
    port = free_port(2)  # the bootstrap server takes its successor
    nodes = [LocalNode(folder, number, port) for number in range(2, 2 + count)]
    monkeypatch.setattr(member, "DockerExecutor", lambda *_, **__: FakeExecutor())
    for node in nodes:
        node.start()
    try:
        yield nodes
    finally:
        for node in nodes:
            await node.stop()
