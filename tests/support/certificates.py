"""Certificates of all sorts for tests, and servers and callers that show them."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

import proto
from core.clock import SECOND
from core.ids import new_id
from core.model import Role
from core.rpc import error_of
from identity.access import AccessInterceptor
from identity.channels import SERVER_OPTIONS
from identity.credentials import Credentials
from identity.keys import new_key_and_csr
from identity.model import NodeIdentity
from identity.root import create_root, issue

HOUR = 3600 * SECOND
DAY = 24 * HOUR


class Issuer:
    """A root and what it signs. Other issuers' certificates are foreign to it."""

    def __init__(self, cluster_id: str = "", now: int | None = None) -> None:
        self.now = time.time_ns() if now is None else now
        self.cluster_id = cluster_id or new_id()
        self.root, self.key = create_root(self.now - 40 * DAY)

    def credentials(
        self,
        node_id: str = "",
        role: Role = Role.WORKER,
        *,
        cluster_id: str = "",
        now: int | None = None,
        lifetime: int = DAY,
    ) -> Credentials:
        key, csr = new_key_and_csr()
        identity = NodeIdentity(node_id or new_id(), role, cluster_id or self.cluster_id)
        issued = issue(self.root, self.key, csr, identity, self.now if now is None else now, lifetime)
        return Credentials(key, issued, self.root)


@dataclass(frozen=True)
class Method:
    """One RPC of proto/, whichever it is."""

    path: str
    descriptor: MethodDescriptor

    @property
    def streams(self) -> tuple[bool, bool]:
        return self.descriptor.client_streaming, self.descriptor.server_streaming


def all_methods() -> list[Method]:
    """Every RPC of every service that the proto folder describes."""
    names = [module.name for module in iter_modules(proto.__path__) if module.name.endswith("_pb2")]
    modules: list[Any] = [import_module(f"proto.{name}") for name in names]
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    return [Method(f"/{service.full_name}/{method.name}", method) for service in services for method in service.methods]


class EverythingServed(grpc.GenericRpcHandler):
    """Answers every call of any name with one empty message, and remembers which calls came through."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        path = details.method

        async def answer_once(request: Any, context: Any) -> bytes:
            self.reached.append(path)
            return b""

        async def answer_many(request: Any, context: Any) -> AsyncIterator[bytes]:
            self.reached.append(path)
            yield b""

        pool = descriptor_pool.Default()
        try:
            method = pool.FindMethodByName(path.strip("/").replace("/", "."))
        except KeyError:
            return grpc.unary_unary_rpc_method_handler(answer_once)
        return {
            (False, False): lambda: grpc.unary_unary_rpc_method_handler(answer_once),
            (True, False): lambda: grpc.stream_unary_rpc_method_handler(answer_once),
            (False, True): lambda: grpc.unary_stream_rpc_method_handler(answer_many),
            (True, True): lambda: grpc.stream_stream_rpc_method_handler(answer_many),
        }[method.client_streaming, method.server_streaming]()


@asynccontextmanager
async def serving(
    credentials: grpc.ServerCredentials, handler: grpc.GenericRpcHandler, interceptor: AccessInterceptor | None = None
) -> AsyncIterator[str]:
    """A server of `handler` on a free port of this machine; its address."""
    interceptors = [interceptor] if interceptor is not None else []
    server = grpc.aio.server(interceptors=interceptors, options=list(SERVER_OPTIONS))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def call(channel: grpc.aio.Channel, method: Method) -> None:
    """Calls `method`, with one empty message if it takes one. Raises the error it is answered with.

    A stream is not written to: gRPC forgets why a call was refused if that comes while something is being written.
    """
    try:
        match method.streams:
            case (False, False):
                await channel.unary_unary(method.path)(b"", timeout=30)
            case (True, False):
                await channel.stream_unary(method.path)(timeout=30)
            case (False, True):
                async for _ in channel.unary_stream(method.path)(b"", timeout=30):
                    pass
            case _:
                stream = channel.stream_stream(method.path)(timeout=30)
                while await stream.read() is not grpc.aio.EOF:
                    pass
    except grpc.aio.AioRpcError as failure:
        raise error_of(failure) from failure
