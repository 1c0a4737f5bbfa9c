"""How a manager becomes a member: it asks the leader, and the leader dials back before it says yes."""

import asyncio

import grpc

from core.clock import SECOND
from core.errors import FailedPrecondition, NotLeader, PyswarmError, Unavailable, UnknownOutcome
from core.rpc import error_of
from identity.credentials import Credentials
from identity.model import MANAGER_NAME
from proto import raft_pb2 as pb
from proto.raft_pb2_grpc import RaftStub
from raft.api import Timing
from raft.membership import Peer

_PROBE_TIMEOUT = 3.0
_RETRY = 0.2


async def probe(credentials: Credentials, peer: Peer) -> None:
    """Raises FailedPrecondition unless that very member answers at its address."""
    request = pb.RaftProbeRequest(node_id=peer.node_id, incarnation=peer.incarnation)
    async with credentials.channel(peer.addr, peer.node_id) as channel:
        try:
            await RaftStub(channel).Probe(request, timeout=_PROBE_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            reason = error.details() or error.code().name.lower()
            raise FailedPrecondition(
                f"the leader cannot reach manager {peer.node_id} at {peer.addr}: {reason}; "
                f"open that port, or advertise an address that the other managers can reach"
            ) from None


async def join_cluster(credentials: Credentials, addr: str, own: Peer, timing: Timing) -> None:
    """Asks the manager at `addr`, and whom it names as the leader, until one has made us a member. To ask again who may
    have done so already is safe."""
    deadline = asyncio.get_running_loop().time() + timing.catch_up / SECOND
    asked = addr
    while True:
        try:
            await _ask(credentials, asked, own, max(1.0, deadline - asyncio.get_running_loop().time()))
            return
        except (Unavailable, UnknownOutcome) as error:
            if asyncio.get_running_loop().time() + _RETRY > deadline:
                raise
            asked = error.leader if isinstance(error, NotLeader) and error.leader else addr
        await asyncio.sleep(_RETRY)


async def _ask(credentials: Credentials, addr: str, own: Peer, timeout: float) -> None:
    request = pb.RaftJoinRequest(addr=own.addr, incarnation=own.incarnation)
    async with credentials.channel(addr, MANAGER_NAME) as channel:
        try:
            await RaftStub(channel).Join(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise _explained(error, addr) from None


def _explained(error: grpc.aio.AioRpcError, addr: str) -> PyswarmError:
    cause = error_of(error)
    if type(cause) is Unavailable:
        return Unavailable(f"the manager at {addr} does not answer: {cause.message}")
    return cause
