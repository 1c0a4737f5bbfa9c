"""Whoever reads a followed log over real gRPC hangs up: nothing is left that nobody ends."""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc
import pytest

from core.errors import InvalidArgument
from core.model import LogLine, LogOptions
from core.rpc import abort
from proto import dispatcher_pb2 as pb
from proto.dispatcher_pb2_grpc import DispatcherServicer, DispatcherStub, add_DispatcherServicer_to_server
from worker.logs import QUEUE_LINES, LogPublisher

LOOP = asyncio.SelectorEventLoop
FOLLOW = pb.LogOptions(stdout=True, stderr=True, follow=True, tail=-1)


class Reader(DispatcherServicer):
    """Takes what comes until it hangs up."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.hangs_up = asyncio.Event()

    async def PublishLogs(self, requests: AsyncIterator[pb.PublishLogsRequest], context: Any) -> Any:
        await anext(aiter(requests))
        self.came.set()
        await self.hangs_up.wait()
        await abort(context, InvalidArgument("nobody reads this log any more"))


class Task:
    """A controller whose container writes `lines` and then no more."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self.closed = asyncio.Event()

    async def logs(self, options: LogOptions) -> AsyncGenerator[LogLine, None]:
        try:
            for number in range(self._lines):
                yield LogLine("service", "node", "a", number, False, b"x" * 10_000)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.closed.set()


@pytest.fixture
async def errors() -> list[str]:
    """What the loop complains of."""
    found: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context["message"]))
    return found


@pytest.fixture
async def reader() -> Reader:
    return Reader()


@pytest.fixture
async def stub(reader: Reader) -> AsyncIterator[Any]:
    server = grpc.aio.server()
    add_DispatcherServicer_to_server(reader, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield DispatcherStub(channel)
    await server.stop(None)


@pytest.mark.parametrize("lines", [1, 5 * QUEUE_LINES], ids=["a quiet task", "a task that writes much"])
@pytest.mark.parametrize("way", ["by an error", "by a message", "with the session"])
async def test_a_log_whose_reader_hangs_up_is_ended(
    stub: Any, reader: Reader, errors: list[str], way: str, lines: int
) -> None:
    task = Task(lines)

    async def find(task_id: str) -> Any:
        return task

    publisher = LogPublisher(stub, "session", find)
    publisher.handle(pb.LogSubscription(id="sub", task_ids=["a"], options=FOLLOW))
    await reader.came.wait()
    match way:
        case "by an error":
            reader.hangs_up.set()
        case "by a message":
            publisher.handle(pb.LogSubscription(id="sub", close=True))
        case "with the session":
            await publisher.close()
            assert task.closed.is_set()
    await task.closed.wait()
    await asyncio.sleep(0.1)
    gc.collect()
    await asyncio.sleep(0.1)
    assert errors == []
