"""The authority's RPCs. Their server has the AccessInterceptor, which also answers with what they raise."""

import grpc

from core.clock import Clock
from core.errors import PermissionDenied, ResourceExhausted
from core.logs import logger
from identity.access import AccessInterceptor, Context, peer_identity
from identity.channels import BOOTSTRAP_SERVER_OPTIONS
from identity.model import NodeIdentity
from manager.ca.authority import Authority
from manager.ca.ratelimit import RateLimit, source_of
from proto import ca_pb2 as pb
from proto.access_pb2 import Access
from proto.ca_pb2_grpc import BootstrapServicer, NodeCAServicer, add_BootstrapServicer_to_server

log = logger("manager.ca")

_RATE = 10.0
_BURST = 100
_CONCURRENT = 64


class BootstrapService(BootstrapServicer):
    """For those who have no certificate yet."""

    def __init__(self, authority: Authority, clock: Clock, limit: RateLimit | None = None) -> None:
        self._authority = authority
        self._clock = clock
        self._limit = limit or RateLimit(_RATE, _BURST)

    async def GetRootCA(self, request: pb.GetRootCARequest, context: Context) -> pb.GetRootCAResponse:
        self._count(context)
        return pb.GetRootCAResponse(cert=self._authority.root)

    async def IssueCertificate(
        self, request: pb.IssueCertificateRequest, context: Context
    ) -> pb.IssueCertificateResponse:
        source = self._count(context)
        try:
            return await self._authority.join(request)
        except PermissionDenied as error:
            log.warning("join refused", source=source, reason=error.message)
            raise

    def _count(self, context: Context) -> str:
        source = source_of(context.peer())
        if not self._limit.allows(source, self._clock.now()):
            raise ResourceExhausted("too many requests from this address; try again in a few seconds")
        return source


class NodeCAService(NodeCAServicer):
    """For nodes and managers, on the managers' own server."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    async def RenewCertificate(
        self, request: pb.RenewCertificateRequest, context: Context
    ) -> pb.IssueCertificateResponse:
        return await self._authority.renew(peer_identity(context).node_id, request.csr)

    async def ForwardIssue(self, request: pb.IssueCertificateRequest, context: Context) -> pb.IssueCertificateResponse:
        return await self._authority.issue(request)


def bootstrap_server(authority: Authority, clock: Clock) -> grpc.aio.Server:
    """A server that does nothing but admit nodes. The caller gives it a port with server TLS only, and starts it."""
    server = grpc.aio.server(
        interceptors=[AccessInterceptor(_nobody, clock)],
        options=list(BOOTSTRAP_SERVER_OPTIONS),
        maximum_concurrent_rpcs=_CONCURRENT,
    )
    add_BootstrapServicer_to_server(BootstrapService(authority, clock), server)
    return server


def _nobody(identity: NodeIdentity, access: Access.ValueType) -> None:
    """Nodes have no business on the bootstrap port; who may be anyone is not asked."""
    raise PermissionDenied("this port only admits new nodes")
