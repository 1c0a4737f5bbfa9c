"""Who may call what: every RPC is checked against its option `(access)` before its handler runs."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import grpc
from google.protobuf import descriptor_pool

from core.clock import SECOND, Clock, WallClock
from core.errors import InvalidArgument, PermissionDenied, PyswarmError, Unauthenticated
from core.rpc import abort
from identity.certificates import Leaf, load_certificate, read_leaf, signed_by
from identity.model import NodeIdentity
from proto import access_pb2
from proto.access_pb2 import Access

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_FIRST_ANSWER = 5.0
"""Seconds for which a stream that is cut off may still take its first answer."""

Authorize = Callable[[NodeIdentity, Access.ValueType], None]
"""Raises PermissionDenied if a node may not call RPCs of that access."""


def peer_identity(context: Context) -> NodeIdentity:
    """Whose certificate the caller has shown. Raises Unauthenticated if it has shown none."""
    return _peer_leaf(context).identity


@lru_cache(maxsize=256)
def required_access(method: str) -> Access.ValueType:
    """What `method` ("/package.Service/Method") states; NOBODY if it states nothing or is not known."""
    try:
        descriptor = descriptor_pool.Default().FindMethodByName(method.strip("/").replace("/", "."))
    except KeyError:
        return access_pb2.NOBODY
    return descriptor.GetOptions().Extensions[access_pb2.access]


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Refuses whatever a method's `(access)` and `authorize` do not allow, also on connections that were opened
    while they did; an RPC that states nothing is refused to everyone. Streams end when their certificate does.

    It also ends a call whose handler raises a PyswarmError with that error's status.
    """

    def __init__(self, authorize: Authorize, clock: Clock | None = None, root: Callable[[], bytes] = bytes) -> None:
        """`clock` tells when a certificate has expired that was good when its connection was opened. `root` (PEM) is
        the one of which certificates must be now; empty: all that TLS let in are good."""
        self._authorize = authorize
        self._clock = clock or WallClock()
        self._root = root
        self._streams: dict[asyncio.Timeout, bytes] = {}
        """Those that are open, with the caller's certificate."""

    def root_changed(self) -> None:
        """`root` may be another: streams of certificates that are not of it end."""
        now = asyncio.get_running_loop().time()
        for stream, certificate in self._streams.items():
            if not stream.expired() and not self._is_of_root(certificate):
                stream.reschedule(now)

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        access = required_access(handler_call_details.method)
        lasts = handler.request_streaming or handler.response_streaming
        if lasts and access != access_pb2.ANYONE:
            return _guarded(handler, lambda context: self._admitted_while_valid(context, access))
        return _guarded(handler, lambda context: self._admitted(context, access))

    @asynccontextmanager
    async def _admitted(self, context: Context, access: Access.ValueType) -> AsyncIterator[None]:
        self._admit(context, access)
        yield

    @asynccontextmanager
    async def _admitted_while_valid(self, context: Context, access: Access.ValueType) -> AsyncIterator[None]:
        self._admit(context, access)
        certificate = _shown(context)
        stream = asyncio.timeout((_peer_leaf(context).expires_at - self._clock.now()) / SECOND)
        self._streams[stream] = certificate
        try:
            async with stream:
                yield
        except TimeoutError:
            if not stream.expired():
                raise
            raise _no_longer_good(expired=self._is_of_root(certificate)) from None
        finally:
            del self._streams[stream]

    def _admit(self, context: Context, access: Access.ValueType) -> None:
        if access == access_pb2.ANYONE:
            return
        if access == access_pb2.NOBODY:
            raise PermissionDenied("this call is open to nobody")
        leaf = _peer_leaf(context)
        expired = leaf.expires_at <= self._clock.now()
        if expired or not self._is_of_root(_shown(context)):
            raise _no_longer_good(expired)
        self._authorize(leaf.identity, access)

    def _is_of_root(self, certificate: bytes) -> bool:
        root = self._root()
        return not root or _is_signed_by(certificate, root)


@lru_cache(maxsize=16384)
def _is_signed_by(certificate: bytes, root: bytes) -> bool:
    return signed_by(load_certificate(certificate), load_certificate(root))


def _no_longer_good(expired: bool) -> Unauthenticated:
    reason = "has expired" if expired else "is of a root that is not trusted any more"
    return Unauthenticated(f"the certificate of this connection {reason}: connect again with a new one")


def _peer_leaf(context: Context) -> Leaf:
    try:
        return read_leaf(_shown(context))
    except InvalidArgument as error:
        raise Unauthenticated(error.message) from None


def _shown(context: Context) -> bytes:
    """The caller's certificate (PEM). Raises Unauthenticated if it has shown none."""
    shown = list(context.auth_context().get("x509_pem_cert", ()))
    if not shown:
        raise Unauthenticated("no certificate was shown")
    return bytes(shown[0])


def _guarded(handler: Handler, admitted: Callable[[Context], AbstractAsyncContextManager[None]]) -> Handler:
    """`handler`, of whichever of the four kinds, within `admitted`."""
    make, behaviour = _parts(handler)

    async def answer_once(request: Any, context: Context) -> Any:
        try:
            async with admitted(context):
                return await behaviour(request, context)
        except PyswarmError as error:
            await abort(context, error)

    async def answer_many(request: Any, context: Context) -> None:
        try:
            async with admitted(context):
                answers = behaviour(request, context)
                if not inspect.isasyncgen(answers):
                    await answers  # it writes to the context itself
                    return
                async with aclosing(answers):
                    begun = False
                    async for answer in answers:
                        await (context.write(answer) if begun else _write_first(context, answer))
                        begun = True
        except PyswarmError as error:
            await abort(context, error)

    guarded = answer_many if handler.response_streaming else answer_once
    return make(guarded, handler.request_deserializer, handler.response_serializer)


async def _write_first(context: Context, answer: Any) -> None:
    """To its end, also if the stream is cut off meanwhile: until the first answer is written gRPC takes no status, and
    the caller would wait for ever. One that takes nothing is waited for only so long, or its handler would go on."""
    writing = asyncio.ensure_future(context.write(answer))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing], timeout=_FIRST_ANSWER)
        writing.cancel()
        raise


def _parts(handler: Any) -> tuple[Callable[..., Handler], Callable[[Any, Context], Any]]:
    """What makes a handler of this kind, and what the handler does."""
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler, handler.stream_stream
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler, handler.stream_unary
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler, handler.unary_stream
    return grpc.unary_unary_rpc_method_handler, handler.unary_unary
