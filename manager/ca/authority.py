"""The shell around the decisions: only the leader issues; a follower passes a join on to it."""

from collections.abc import Callable

import grpc

from core.clock import Clock
from core.errors import NotLeader, Unavailable
from core.ids import IdSource
from core.logs import logger
from core.rpc import error_of
from identity.credentials import Credentials
from identity.model import MANAGER_NAME
from manager.ca.signing import Issued, admit, parse_availability, reissue, renew
from manager.replicator import Replicator
from manager.store import Transaction, View
from proto import ca_pb2 as pb
from proto.ca_pb2_grpc import NodeCAStub
from raft import Consensus

log = logger("manager.ca")

_FORWARD_SECONDS = 10.0


class Authority:
    """`clock` is the wall clock, by which everyone judges certificates."""

    def __init__(
        self,
        store: View,
        replicator: Replicator,
        consensus: Consensus,
        credentials: Credentials,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._store = store
        self._replicator = replicator
        self._consensus = consensus
        self._credentials = credentials
        self._clock = clock
        self._ids = ids

    @property
    def root(self) -> bytes:
        """PEM; what joiners compare with their token. Raises Unavailable while this manager does not know it."""
        if self._store.cluster is None:
            raise Unavailable("this manager does not hold the cluster's state yet; try again")
        return self._store.cluster.root_ca.cert

    async def join(self, request: pb.IssueCertificateRequest) -> pb.IssueCertificateResponse:
        """Admits a new node, through the leader if need be."""
        try:
            return await self.issue(request)
        except NotLeader as error:
            if not error.leader:
                raise
            return await self._forward(error.leader, request)

    async def issue(self, request: pb.IssueCertificateRequest) -> pb.IssueCertificateResponse:
        """Admits a new node. Raises NotLeader on a follower, and what `admit` and the log raise."""
        availability = parse_availability(request.availability)
        node_id = self._ids()
        return await self._decide(
            lambda tx: admit(tx, request.token, request.csr, availability, node_id, self._clock.now())
        )

    async def renew(self, node_id: str, csr: bytes) -> pb.IssueCertificateResponse:
        """Certifies `node_id` anew. Raises NotLeader on a follower."""
        return await self._decide(lambda tx: renew(tx, node_id, csr, self._clock.now()))

    async def renew_own(self, csr: bytes) -> pb.IssueCertificateResponse:
        """Certifies this manager itself anew: it needs no connection, for which its certificate may be too old.

        Raises NotLeader on a follower whose certificate is still good: it asks the leader as any node does.
        """
        node_id = self._credentials.identity.node_id
        try:
            return await self.renew(node_id, csr)
        except Unavailable:
            if self._clock.now() < self._credentials.expires_at:
                raise
        return _response(reissue(self._store, node_id, csr, self._clock.now()))

    async def _decide(self, decision: Callable[[Transaction], Issued]) -> pb.IssueCertificateResponse:
        leadership = self._consensus.leadership
        if not leadership.is_leader:
            raise NotLeader(leadership.leader_addr)
        issued = await self._replicator.update(decision)
        log.info("certificate issued", node=issued.node_id, role=issued.role.name.lower())
        return _response(issued)

    async def _forward(self, leader: str, request: pb.IssueCertificateRequest) -> pb.IssueCertificateResponse:
        async with self._credentials.channel(leader, MANAGER_NAME) as channel:
            try:
                return await NodeCAStub(channel).ForwardIssue(request, timeout=_FORWARD_SECONDS)
            except grpc.aio.AioRpcError as failure:
                raise error_of(failure) from None


def _response(issued: Issued) -> pb.IssueCertificateResponse:
    return pb.IssueCertificateResponse(
        node_id=issued.node_id,
        role=issued.role,
        cluster_id=issued.cluster_id,
        certificate=issued.certificate,
        root=issued.root,
    )
