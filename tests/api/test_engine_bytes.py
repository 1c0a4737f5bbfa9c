"""What is passed on to the engine, and back, to the byte: an engine that is played without an HTTP library shows it."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pyswarm.engineapi.engine import LocalEngine
from tests.support.fake_node import FakeNode

ZIPPED = gzip.compress(b"a tar archive")


class RawEngine:
    """Answers its one request with `answer`, and then says in capitals what it hears."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self.head: list[bytes] = []
        self.body = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in self.head[1:])}
        if b"content-length" in headers:
            self.body = await reader.readexactly(int(headers[b"content-length"]))
        elif b"transfer-encoding" in headers:
            while size := int(await reader.readline(), 16):
                self.body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        writer.write(self.answer)
        while data := await reader.read(1000):
            writer.write(data.upper())
        writer.close()


@pytest.fixture
async def raw_engine(node: FakeNode, tmp_path: Path) -> AsyncIterator[RawEngine]:
    """In the place of the node's engine: to be asked for before `session`."""
    engine, path = RawEngine(), tmp_path / "raw.sock"
    server = await asyncio.start_unix_server(engine.serve, path)
    node.engine_url = f"unix://{path}"
    yield engine
    server.close()


async def say(path: Path, said: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """The connection, and the head of the answer."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(said)
    return reader, writer, await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_compressed_body_stays_compressed(raw_engine, session, socket_path, chunked):
    size = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(ZIPPED)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ZIPPED), ZIPPED) if chunked else ZIPPED
    head = b"POST /v1.44/build HTTP/1.1\r\nHost: docker\r\nContent-Encoding: gzip\r\n%b\r\n\r\n" % size
    _, writer, answer = await say(socket_path, head + body)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"Content-Encoding: gzip" in raw_engine.head
    assert raw_engine.body == ZIPPED


async def test_a_header_that_comes_repeatedly_is_passed_on_each_time(raw_engine, session, socket_path):
    raw_engine.answer = b"HTTP/1.1 200 OK\r\nWarning: one\r\nWarning: two\r\nContent-Length: 0\r\n\r\n"
    said = b"GET /v1.44/containers/json HTTP/1.1\r\nHost: docker\r\nX-Mine: 1\r\nX-Mine: 2\r\n\r\n"
    _, writer, answer = await say(socket_path, said)
    writer.close()
    assert [line for line in raw_engine.head if line.startswith(b"X-Mine")] == [b"X-Mine: 1", b"X-Mine: 2"]
    assert [line for line in answer.split(b"\r\n") if line.startswith(b"Warning")] == [b"Warning: one", b"Warning: two"]


@pytest.mark.parametrize(
    "target", [b"http://docker/v1.44/containers/json?all=1", b"HTTP://docker/containers/json?all=1"]
)
async def test_a_target_may_name_its_host(raw_engine, session, socket_path, target):
    _, writer, answer = await say(socket_path, b"GET %b HTTP/1.1\r\nHost: docker\r\n\r\n" % target)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert raw_engine.head[0] == b"GET /containers/json?all=1 HTTP/1.1"


async def test_what_a_client_says_while_the_engine_is_called_is_not_lost(raw_engine, session, socket_path, monkeypatch):
    called, go_on, connect = asyncio.Event(), asyncio.Event(), LocalEngine.connect

    async def connect_late(*args):
        called.set()
        await go_on.wait()
        return await connect(*args)

    monkeypatch.setattr(LocalEngine, "connect", connect_late)
    raw_engine.answer = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    reader, writer = await asyncio.open_unix_connection(str(socket_path))
    head = b"POST /v1.44/exec/1/start HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
    writer.write(head + b"Content-Length: 2\r\n\r\n{}")
    await asyncio.wait_for(called.wait(), 20)
    writer.write(b"hello ")
    await asyncio.sleep(0.1)
    go_on.set()
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    writer.write(b"world")
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 20) == b"HELLO WORLD"
    assert raw_engine.body == b"{}"
