"""What other members may ask of this one. The manager adds it to its server; who calls is read from the certificate."""

import asyncio
from collections.abc import AsyncIterator
from typing import NoReturn, Protocol, TypeVar

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Wire

from core.errors import FailedPrecondition, InvalidArgument, PermissionDenied, PyswarmError
from core.model import Role
from core.rpc import abort
from identity.access import Context, peer_identity
from proto import raft_pb2 as pb
from proto import raft_pb2_grpc
from raft import codec
from raft.membership import Configuration, Peer
from raft.messages import Message
from raft.transport.link import REMOVED_KEY

_MAX_REPLIES = 1024

M = TypeVar("M", bound=Wire)


class Host(Protocol):
    """The member that is served. All on the loop."""

    own: Peer
    cluster_id: str

    @property
    def configuration(self) -> Configuration: ...
    @property
    def removed_members(self) -> frozenset[int]:
        """Incarnations whose removal is committed."""
        ...

    def check_running(self) -> None:
        """Raises ShuttingDown, or what stopped the member."""
        ...

    async def received(self, sender: str, message: Message, size: int) -> None:
        """A message of so many bytes. Returns when the next one may be read."""
        ...

    def seen_at(self, sender: str, addr: str) -> None:
        """A member says that it is now at `addr`."""
        ...

    async def add_member(self, node_id: str, addr: str, incarnation: int) -> None: ...
    async def install(self, sender: str, parts: AsyncIterator[pb.RaftSnapshotPart]) -> pb.RaftSnapshotInstalled: ...


class _Stream:
    """The answers to one member's requests. A later stream of the same member replaces it."""

    def __init__(self, incarnation: int) -> None:
        self.incarnation = incarnation
        self.replies: asyncio.Queue[Message | PyswarmError | None] = asyncio.Queue(_MAX_REPLIES)

    def put(self, reply: Message | PyswarmError | None) -> None:
        if self.replies.full():
            while not self.replies.empty():
                self.replies.get_nowait()
            reply = None  # it does not read its answers: the stream ends, and it begins anew
        self.replies.put_nowait(reply)


class Servicer(raft_pb2_grpc.RaftServicer):
    def __init__(self, host: Host) -> None:
        self._host = host
        self._streams: dict[str, _Stream] = {}

    def reply(self, receiver: str, message: Message) -> None:
        """To a member whose stream is open; else it is lost, as messages may be."""
        stream = self._streams.get(receiver)
        if stream is not None:
            stream.put(message)

    def refuse_removed(self) -> None:
        """Ends the streams of those that are no members any more."""
        for node_id, stream in self._streams.items():
            if stream.incarnation in self._host.removed_members:
                stream.put(_removed(node_id))

    def close(self) -> None:
        for stream in self._streams.values():
            stream.put(None)

    # -- the calls

    async def Exchange(
        self, requests: AsyncIterator[pb.RaftMessage], context: Context
    ) -> AsyncIterator[pb.RaftMessage]:
        try:
            sender = self._caller(context)
            requests = _readable(requests)
            hello = await self._greeted(sender, requests)
            await context.send_initial_metadata(())
            async for reply in self._answers(sender, hello.incarnation, requests):
                yield codec.encode_message(reply)
        except PyswarmError as error:
            await self._abort(context, error)

    async def Install(self, requests: AsyncIterator[pb.RaftSnapshotPart], context: Context) -> pb.RaftSnapshotInstalled:
        try:
            sender = self._caller(context)
            requests = _readable(requests)
            await self._greeted(sender, requests)
            return await self._host.install(sender, requests)
        except PyswarmError as error:
            await self._abort(context, error)

    async def Join(self, request: pb.RaftJoinRequest, context: Context) -> pb.RaftJoinResponse:
        try:
            caller = self._caller(context)
            codec.check_addr(request.addr)
            await self._host.add_member(caller, request.addr, request.incarnation)
            peers = self._host.configuration.peers.values()
            return pb.RaftJoinResponse(members=[codec.encode_peer(peer) for peer in peers])
        except PyswarmError as error:
            await self._abort(context, error)

    async def Probe(self, request: pb.RaftProbeRequest, context: Context) -> pb.RaftProbeResponse:
        try:
            self._caller(context)
            if (request.node_id, request.incarnation) != (self._host.own.node_id, self._host.own.incarnation):
                raise FailedPrecondition(f"another manager, {self._host.own.node_id}, serves this address")
            return pb.RaftProbeResponse()
        except PyswarmError as error:
            await self._abort(context, error)

    # -- who calls

    def _caller(self, context: Context) -> str:
        self._host.check_running()
        identity = peer_identity(context)
        if identity.role != Role.MANAGER or identity.cluster_id != self._host.cluster_id:
            raise PermissionDenied("only the managers of this cluster may take part in its log")
        return identity.node_id

    async def _greeted(
        self, sender: str, requests: AsyncIterator[pb.RaftMessage | pb.RaftSnapshotPart]
    ) -> pb.RaftMessage.Hello:
        """Reads the first message of a stream."""
        first = await anext(requests, None)
        if first is None or first.WhichOneof("body") != "hello":
            raise InvalidArgument("the first message of a stream is a Hello")
        self._check_hello(sender, first.hello)
        return first.hello

    def _check_hello(self, sender: str, hello: pb.RaftMessage.Hello) -> None:
        """S11. A manager that is no member as far as our log goes may be one further on, and lead: it may ask and send
        what we lack, its votes and acknowledgements count for nothing."""
        own, configuration = self._host.own, self._host.configuration
        if hello.expected != own.incarnation:
            raise FailedPrecondition(f"manager {own.node_id} has lost the state it had and is another member now")
        if hello.incarnation in self._host.removed_members:
            raise _removed(sender)
        known = configuration.peers.get(sender)
        if known is not None and known.incarnation != hello.incarnation:
            raise FailedPrecondition(f"manager {sender} is a member with another state; demote and promote it again")
        codec.check_addr(hello.addr)
        if known is not None and known.addr != hello.addr:
            self._host.seen_at(sender, hello.addr)

    async def _abort(self, context: Context, error: PyswarmError) -> NoReturn:
        if isinstance(error, _Removed):
            code, metadata = grpc.StatusCode.PERMISSION_DENIED, ((REMOVED_KEY, "1"),)
            await context.abort(code, error.message, trailing_metadata=metadata)
        await abort(context, error)

    # -- streams

    async def _answers(
        self, sender: str, incarnation: int, requests: AsyncIterator[pb.RaftMessage]
    ) -> AsyncIterator[Message]:
        stream = _Stream(incarnation)
        previous = self._streams.get(sender)
        if previous is not None:
            previous.put(None)
        self._streams[sender] = stream
        reader = asyncio.create_task(self._read(sender, requests, stream))
        try:
            while (reply := await stream.replies.get()) is not None:
                if isinstance(reply, PyswarmError):
                    raise reply
                yield reply
        finally:
            reader.cancel()
            if self._streams.get(sender) is stream:
                del self._streams[sender]

    async def _read(self, sender: str, requests: AsyncIterator[pb.RaftMessage], stream: _Stream) -> None:
        try:
            async for wire in requests:
                await self._host.received(sender, codec.decode_message(wire), wire.ByteSize())
            stream.put(None)
        except PyswarmError as error:
            stream.put(error)


async def _readable(messages: AsyncIterator[M]) -> AsyncIterator[M]:
    """Raises InvalidArgument at bytes that are no message."""
    try:
        async for message in messages:
            yield message
    except DecodeError:
        raise InvalidArgument("a message cannot be read; is another version of pyswarm running?") from None


class _Removed(PermissionDenied):
    pass


def _removed(node_id: str) -> _Removed:
    return _Removed(f"node {node_id} was removed from the managers of this cluster")
