"""The dispatcher's RPCs. Their server has the AccessInterceptor, which also answers with what they raise."""

import asyncio
from collections.abc import AsyncIterator

from core.errors import DeadlineExceeded, Internal, InvalidArgument, PyswarmError
from core.logs import logger
from identity.access import Context, peer_identity
from manager.dispatcher.dispatcher import Dispatcher
from manager.dispatcher.nodes import read_register
from manager.dispatcher.reign import Reign
from manager.dispatcher.session import AgentSession
from manager.logbroker import LogBroker
from proto import dispatcher_pb2 as pb
from proto import dispatcher_pb2_grpc

_REGISTER_LIMIT = 10.0
"""Seconds for the first message."""

log = logger("manager.dispatcher")


class DispatcherServicer(dispatcher_pb2_grpc.DispatcherServicer):
    def __init__(self, dispatcher: Dispatcher, logs: LogBroker) -> None:
        self._dispatcher = dispatcher
        self._logs = logs

    async def Session(
        self, request_iterator: AsyncIterator[pb.AgentMessage], context: Context
    ) -> AsyncIterator[pb.DispatcherMessage]:
        description, addr = read_register(await _first(request_iterator), context.peer())
        reign, session = await self._dispatcher.register(peer_identity(context), description, addr)
        self._logs.node_came(session)
        reader = asyncio.create_task(_read(reign, session, request_iterator))
        try:
            async for message in session.messages(reign):
                yield message
        finally:
            reader.cancel()
            reign.left(session)
            self._logs.node_left(session)

    async def PublishLogs(
        self, request_iterator: AsyncIterator[pb.PublishLogsRequest], context: Context
    ) -> pb.PublishLogsResponse:
        node_id = peer_identity(context).node_id
        await self._logs.receive(node_id, self._of_session(node_id, request_iterator))
        return pb.PublishLogsResponse()

    async def _of_session(
        self, node_id: str, requests: AsyncIterator[pb.PublishLogsRequest]
    ) -> AsyncIterator[pb.PublishLogsRequest]:
        async for request in requests:
            session = self._dispatcher.sessions.get(node_id)
            if session is None or session.id != request.session_id:
                raise InvalidArgument("that is not the session of this node")
            yield request


async def _first(requests: AsyncIterator[pb.AgentMessage]) -> pb.Register:
    try:
        async with asyncio.timeout(_REGISTER_LIMIT):
            first = await anext(aiter(requests), None)
    except TimeoutError:
        raise DeadlineExceeded(f"no registration came within {_REGISTER_LIMIT:g} s") from None
    if first is None or first.WhichOneof("body") != "register":
        raise InvalidArgument("a session begins with a registration")
    return first.register


async def _read(reign: Reign, session: AgentSession, requests: AsyncIterator[pb.AgentMessage]) -> None:
    try:
        async for message in requests:
            reign.take(session, message)
    except PyswarmError as error:
        log.warning("a session is refused", node=session.node_id, reason=error.message)
        session.close(error)
    except Exception:
        log.exception("a session failed", node=session.node_id)
        session.close(Internal("the manager failed to handle a message"))
    else:
        session.close()
