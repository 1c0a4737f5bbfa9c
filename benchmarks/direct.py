"""Session streams without a network: agents and manager in one process, messages handed over as they are."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from core.errors import PyswarmError, Unavailable
from identity.credentials import Credentials
from manager.dispatcher import DispatcherServicer
from proto import dispatcher_pb2 as pb
from worker.link import Connect


def directly(servicer: DispatcherServicer, credentials: Credentials) -> Connect:
    """For an agent: connections to `servicer`, whatever the address."""

    @asynccontextmanager
    async def connect(addr: str) -> AsyncIterator["_Stub"]:
        yield _Stub(servicer, _Context(credentials))

    return connect


class _Context:
    """As much of a gRPC context as says who calls."""

    def __init__(self, credentials: Credentials) -> None:
        self._certificate = credentials.bundle.certificate

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self._certificate]}


class _Stub:
    def __init__(self, servicer: DispatcherServicer, context: Any) -> None:
        self._servicer = servicer
        self._context = context

    def Session(self) -> "_Stream":
        return _Stream(self._servicer, self._context)

    async def PublishLogs(self, requests: AsyncIterable[pb.PublishLogsRequest]) -> pb.PublishLogsResponse:
        raise Unavailable("there are no logs here")


class _Stream:
    def __init__(self, servicer: DispatcherServicer, context: Any) -> None:
        self._requests: asyncio.Queue[pb.AgentMessage] = asyncio.Queue()
        self._answers: asyncio.Queue[pb.DispatcherMessage | BaseException] = asyncio.Queue(1)
        self._handler = asyncio.create_task(self._serve(servicer.Session(self._taken(), context)))

    async def write(self, request: pb.AgentMessage) -> None:
        self._requests.put_nowait(request)

    async def read(self) -> Any:
        answer = await self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def cancel(self) -> bool:
        return self._handler.cancel()

    async def _taken(self) -> AsyncIterator[pb.AgentMessage]:
        while True:
            yield await self._requests.get()

    async def _serve(self, answers: AsyncIterator[pb.DispatcherMessage]) -> None:
        try:
            async for answer in answers:
                await self._answers.put(answer)
            await self._answers.put(Unavailable("the session was closed"))
        except PyswarmError as error:
            await self._answers.put(error)
