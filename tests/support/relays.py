"""Real relays on loopback addresses, one a "node", and small servers for them to lead to."""

import asyncio
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from core.model import Backend, IngressAck, IngressState, PublishedPort
from identity.credentials import Credentials
from identity.model import PemBundle
from identity.tls import tls_context
from ingress.client import RelayPorts
from ingress.control import Settings
from ingress.relay.frames import header, split
from tests.support.certificates import Issuer
from tests.support.ports import free_port

TASKS_ADDRESS = "127.0.0.1"


class Relays:
    """Nodes by their last octet: node 2 serves on 127.0.0.2 and is called `node2`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.issuer = Issuer()
        self.relay_port = free_port()
        self.ports: dict[int, RelayPorts] = {}

    def make(
        self,
        node: int,
        credentials: Credentials | None = None,
        on_ports: Callable[[IngressAck], None] | None = None,
    ) -> RelayPorts:
        """The daemon's side of a node's relay, not started."""
        address = f"127.0.0.{node}"
        settings = Settings(address, address, self.relay_port)
        credentials = credentials or self.issuer.credentials(f"node{node}")
        return RelayPorts(self.path(node), credentials, settings, on_ports)

    async def start(self, node: int, credentials: Credentials | None = None) -> RelayPorts:
        """A node's daemon starts: its relay is started or taken over."""
        ports = self.ports[node] = self.make(node, credentials)
        await ports.start()
        return ports

    def path(self, node: int) -> Path:
        return self.folder / f"relay{node}.sock"

    async def apply(self, state: IngressState) -> None:
        """On all nodes, none of which may object."""
        for ports in self.ports.values():
            ack = await ports.apply(state)
            assert ack == IngressAck(state.version)

    async def close(self) -> None:
        for node, ports in self.ports.items():
            await ports.stop()
            await self.make(node).stop(kill=True)


@asynccontextmanager
async def relays() -> AsyncIterator[Relays]:
    folder = Path(tempfile.mkdtemp(prefix="relays-"))  # short: a unix socket's path has 107 bytes
    cluster = Relays(folder)
    try:
        yield cluster
    finally:
        await cluster.close()
        shutil.rmtree(folder)


class Server:
    """A task: says its name to whoever connects, then sends back what it gets until the client is done."""

    def __init__(self, name: str, node: int) -> None:
        self.name = name
        self.node = node
        self.port = free_port()  # kept while it does not run: nobody else answers there
        self.connections = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> "Server":
        self._server = await asyncio.start_server(self._serve, TASKS_ADDRESS, self.port)
        return self

    async def stop(self) -> None:
        """Accepts nothing any more; open connections stay."""
        if self._server is not None:
            self._server.close()

    def backend(self) -> Backend:
        return Backend(self.name, f"node{self.node}", f"127.0.0.{self.node}", TASKS_ADDRESS, self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            writer.write(self.name.encode() + b"\n")
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()
        except ConnectionError:
            writer.close()


def published(version: int, port: int, *servers: Server, nodes: tuple[int, ...] = (2, 3)) -> IngressState:
    """One published port with these tasks behind it."""
    entry = PublishedPort("service", published_port=port, backends=tuple(server.backend() for server in servers))
    return IngressState(version, (entry,), tuple(f"node{node}" for node in nodes))


async def ask(node: int, port: int) -> str:
    """The name of the task that a new connection to the port reaches."""
    reader, writer = await asyncio.open_connection(f"127.0.0.{node}", port)
    try:
        name = (await reader.readline()).decode().strip()
        writer.write_eof()
        assert await reader.read() == b""
        return name
    finally:
        writer.close()


async def echoed(node: int, port: int, data: bytes) -> bytes:
    """What comes back of `data` over a new connection, after the task's name."""
    reader, writer = await asyncio.open_connection(f"127.0.0.{node}", port)
    try:
        await reader.readline()

        async def send() -> None:
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        received, _ = await asyncio.gather(reader.read(), send())
        return received
    finally:
        writer.close()


class Peer:
    """A relay as a test wants it: says to another relay what it likes, and hears what comes back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._data = b""

    @classmethod
    async def connect(cls, node: int, port: int, shown: PemBundle) -> "Peer":
        context = tls_context(shown, server_side=False)
        return cls(*await asyncio.open_connection(f"127.0.0.{node}", port, ssl=context, server_hostname=f"node{node}"))

    def say(self, kind: int, stream: int, payload: bytes = b"") -> None:
        self._writer.write(header(kind, stream, len(payload)) + payload)

    def say_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    async def hear(self) -> tuple[int, int, bytes] | None:
        """The next frame; None once the other relay has hung up."""
        while True:
            for kind, stream, payload in split(memoryview(self._data)):
                frame = (kind, stream, bytes(payload))
                self._data = self._data[len(header(0, 0)) + len(payload) :]
                return frame
            try:
                data = await self._reader.read(65536)
            except (ConnectionError, ssl.SSLError):
                return None
            if not data:
                return None
            self._data += data

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self._writer.wait_closed()
