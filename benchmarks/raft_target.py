"""Three processes of a replicated log under measurement: ours or etcd's."""

import asyncio
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

import grpc

from benchmarks.raft_load import Call, Door

HOST = "127.0.0.1"
MEMBERS = range(3)
PATIENCE = 60.0
_PAUSE = 0.05
_ASK_TIMEOUT = 1.0


class Target(ABC):
    name = ""

    @abstractmethod
    async def form(self) -> None:
        """Starts three members that agree on a leader."""

    @abstractmethod
    def door(self, member: int) -> Door: ...

    @abstractmethod
    async def status(self, member: int) -> tuple[bool, int]:
        """Whether it leads, and the index it has applied. AioRpcError if it does not answer."""

    @abstractmethod
    def start(self, member: int) -> None: ...

    @abstractmethod
    def pid(self, member: int) -> int: ...

    @abstractmethod
    def kill(self, member: int) -> None:
        """With SIGKILL."""

    @abstractmethod
    def stop(self) -> None:
        """Kills those that run."""

    async def leader(self) -> int:
        found: list[int] = []

        async def look() -> bool:
            found[:] = [member for member in MEMBERS if await self._leads(member)]
            return len(found) == 1

        await wait_for(look)
        return found[0]

    async def settle(self) -> None:
        """Waits until all members are there and have applied the same."""

        async def settled() -> bool:
            try:
                states = [await self.status(member) for member in MEMBERS]
            except grpc.aio.AioRpcError:
                return False
            return sum(leads for leads, _ in states) == 1 and len({applied for _, applied in states}) == 1

        await wait_for(settled)

    async def ask(self, member: int, method: str) -> bytes:
        """The answer to an empty request."""
        async with self.door(member).channel() as channel:
            call: Call = channel.unary_unary(method)
            return await call(b"", timeout=_ASK_TIMEOUT)

    async def _leads(self, member: int) -> bool:
        try:
            return (await self.status(member))[0]
        except grpc.aio.AioRpcError:
            return False


async def wait_for(condition: Callable[[], Awaitable[bool]], pause: float = _PAUSE) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the members do not come to what is waited for")
        await asyncio.sleep(pause)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port
