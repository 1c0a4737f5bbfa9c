"""The dispatcher's RPCs. Their server has the AccessInterceptor, which also answers with what they raise."""

import asyncio
from collections.abc import AsyncIterator

from core.codec import decode
from core.errors import InvalidArgument, PyswarmError
from core.model import IngressAck, NodeDescription, TaskStatus
from identity.access import Context, peer_identity
from manager.dispatcher.dispatcher import Dispatcher
from manager.dispatcher.session import AgentSession
from manager.logbroker import LogBroker
from proto import dispatcher_pb2 as pb
from proto import dispatcher_pb2_grpc


class DispatcherServicer(dispatcher_pb2_grpc.DispatcherServicer):
    def __init__(self, dispatcher: Dispatcher, logs: LogBroker) -> None:
        self._dispatcher = dispatcher
        self._logs = logs

    async def Session(
        self, request_iterator: AsyncIterator[pb.AgentMessage], context: Context
    ) -> AsyncIterator[pb.DispatcherMessage]:
        node_id = peer_identity(context).node_id
        first = await anext(aiter(request_iterator), None)
        if first is None or first.WhichOneof("body") != "register":
            raise InvalidArgument("a session begins with Register")
        description = decode(NodeDescription, first.register.description)
        addr = first.register.addr or _host_of(context.peer())
        session = await self._dispatcher.register(node_id, description, addr)
        reader = asyncio.create_task(self._read(session, request_iterator))
        try:
            async for message in self._dispatcher.messages(session):
                yield message
        finally:
            reader.cancel()
            self._dispatcher.ended(session)
            self._logs.node_left(session)

    async def PublishLogs(
        self, request_iterator: AsyncIterator[pb.PublishLogsRequest], context: Context
    ) -> pb.PublishLogsResponse:
        node_id = peer_identity(context).node_id
        async for request in request_iterator:
            session = self._dispatcher.sessions.get(node_id)
            if session is None or session.id != request.session_id:
                raise InvalidArgument("the session is not the node's")
            await self._logs.publish(session, request)
        return pb.PublishLogsResponse()

    async def _read(self, session: AgentSession, requests: AsyncIterator[pb.AgentMessage]) -> None:
        try:
            async for message in requests:
                self._take(session, message)
            session.close()
        except PyswarmError as error:
            session.close(error)

    def _take(self, session: AgentSession, message: pb.AgentMessage) -> None:
        match message.WhichOneof("body"):
            case "heartbeat":
                self._dispatcher.heartbeat(session)
            case "status":
                statuses = {update.task_id: decode(TaskStatus, update.status) for update in message.status.updates}
                self._dispatcher.report(session, message.status.sequence, statuses)
            case "ingress_ack":
                self._dispatcher.ingress_applied(session, decode(IngressAck, message.ingress_ack))
            case _:
                raise InvalidArgument("this is no message of a session that has begun")


def _host_of(peer: str) -> str:
    """The address in gRPC's `ipv4:192.0.2.1:4711` or `ipv6:[2001:db8::1]:4711` (which may be percent-encoded)."""
    address = peer.partition(":")[2].replace("%5B", "[").replace("%5D", "]")
    return address.rpartition(":")[0].strip("[]")
