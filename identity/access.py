"""Who may call what: every RPC is checked against its option `(access)` before its handler runs."""

import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import lru_cache
from typing import Any, TypeAlias

import grpc
from google.protobuf import descriptor_pool

from core.clock import Clock, WallClock
from core.errors import InvalidArgument, PermissionDenied, PyswarmError, Unauthenticated
from core.rpc import abort
from identity.certificates import Leaf, read_leaf
from identity.model import NodeIdentity
from proto import access_pb2
from proto.access_pb2 import Access

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
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
    while they did; an RPC that states nothing is refused to everyone.

    It also ends a call whose handler raises a PyswarmError with that error's status.
    """

    def __init__(self, authorize: Authorize, clock: Clock | None = None) -> None:
        """`clock` tells when a certificate has expired that was good when its connection was opened."""
        self._authorize = authorize
        self._clock = clock or WallClock()

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        access = required_access(handler_call_details.method)
        return _guarded(handler, lambda context: self._admit(context, access))

    def _admit(self, context: Context, access: Access.ValueType) -> None:
        if access == access_pb2.ANYONE:
            return
        if access == access_pb2.NOBODY:
            raise PermissionDenied("this call is open to nobody")
        leaf = _peer_leaf(context)
        if leaf.expires_at <= self._clock.now():
            raise Unauthenticated("the certificate of this connection has expired: connect again with a new one")
        self._authorize(leaf.identity, access)


def _peer_leaf(context: Context) -> Leaf:
    shown = list(context.auth_context().get("x509_pem_cert", ()))
    if not shown:
        raise Unauthenticated("no certificate was shown")
    try:
        return read_leaf(shown[0])
    except InvalidArgument as error:
        raise Unauthenticated(error.message) from None


def _guarded(handler: Handler, admit: Callable[[Context], None]) -> Handler:
    """`handler`, of whichever of the four kinds, behind `admit`."""
    make, behaviour = _parts(handler)

    async def answer_once(request: Any, context: Context) -> Any:
        try:
            admit(context)
            return await behaviour(request, context)
        except PyswarmError as error:
            await abort(context, error)

    async def answer_many(request: Any, context: Context) -> None:
        try:
            admit(context)
            answers = behaviour(request, context)
            if not inspect.isasyncgen(answers):
                await answers  # it writes to the context itself
                return
            async with aclosing(answers):
                async for answer in answers:
                    await context.write(answer)
        except PyswarmError as error:
            await abort(context, error)

    guarded = answer_many if handler.response_streaming else answer_once
    return make(guarded, handler.request_deserializer, handler.response_serializer)


def _parts(handler: Any) -> tuple[Callable[..., Handler], Callable[[Any, Context], Any]]:
    """What makes a handler of this kind, and what the handler does."""
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler, handler.stream_stream
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler, handler.stream_unary
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler, handler.unary_stream
    return grpc.unary_unary_rpc_method_handler, handler.unary_unary
