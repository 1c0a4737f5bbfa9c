"""Who may call what: each RPC states it in its descriptor, one interceptor holds every call to it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

import grpc
from cryptography import x509
from google.protobuf.descriptor import FileDescriptor

from core.errors import FailedPrecondition, PermissionDenied, PyswarmError, Unauthenticated
from core.rpc import abort
from identity.credentials import identity_of
from identity.model import NodeIdentity
from proto import access_pb2, ca_pb2, control_pb2, dispatcher_pb2, raft_pb2

SERVICES: tuple[FileDescriptor, ...] = (
    ca_pb2.DESCRIPTOR,
    control_pb2.DESCRIPTOR,
    dispatcher_pb2.DESCRIPTOR,
    raft_pb2.DESCRIPTOR,
)
Authorize = Callable[[NodeIdentity, int], None]
"""(who, the number of the Access that is wanted). Raises PermissionDenied if they have it not."""
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


def stated_access(files: Iterable[FileDescriptor] = SERVICES) -> Mapping[str, int]:
    """`/package.Service/Method` -> the access its descriptor states."""
    return {
        f"/{service.full_name}/{method.name}": method.GetOptions().Extensions[access_pb2.access]
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    }


def peer_identity(context: Context) -> NodeIdentity:
    """Who calls, by the certificate that the connection was opened with. Raises Unauthenticated if that is none."""
    pem = tuple(context.auth_context().get("x509_pem_cert", ()))
    if not pem:
        raise Unauthenticated("this call needs a node's certificate")
    try:
        return identity_of(x509.load_pem_x509_certificate(pem[0]))
    except (ValueError, FailedPrecondition):
        raise Unauthenticated("the certificate is no node's of this cluster") from None


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Refuses every call that its caller may not make, before the handler sees anything of it."""

    def __init__(self, authorize: Authorize) -> None:
        self._authorize = authorize
        self._access = stated_access()

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(details)
        if handler is None:
            return None
        wanted = self._access.get(details.method, access_pb2.NOBODY)
        return _guarded(handler, lambda context: self._check(context, wanted))

    def _check(self, context: Context, wanted: int) -> None:
        if wanted == access_pb2.ANYONE:
            return
        if wanted not in (access_pb2.NODES, access_pb2.MANAGERS):
            raise PermissionDenied("nobody may make this call")
        self._authorize(peer_identity(context), wanted)


def _guarded(handler: Any, check: Callable[[Context], None]) -> Any:
    if handler.response_streaming:
        inner = handler.unary_stream or handler.stream_stream

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            await _checked(check, context)
            async for response in inner(request, context):
                yield response

        make = grpc.unary_stream_rpc_method_handler
        if handler.request_streaming:
            make = grpc.stream_stream_rpc_method_handler
        return make(stream, handler.request_deserializer, handler.response_serializer)
    inner = handler.unary_unary or handler.stream_unary

    async def single(request: Any, context: Context) -> Any:
        await _checked(check, context)
        return await inner(request, context)

    make = grpc.unary_unary_rpc_method_handler
    if handler.request_streaming:
        make = grpc.stream_unary_rpc_method_handler
    return make(single, handler.request_deserializer, handler.response_serializer)


async def _checked(check: Callable[[Context], None], context: Context) -> None:
    try:
        check(context)
    except PyswarmError as error:
        await abort(context, error)
