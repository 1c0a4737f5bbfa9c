"""The authority's RPCs on real servers: the leader's own, and a follower's that passes joins on."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import grpc
import pytest

from core.clock import SECOND, ManualClock
from core.errors import InvalidArgument, NotLeader, PermissionDenied, ResourceExhausted, Unavailable
from core.ids import new_id
from core.model import Availability, Role
from core.rpc import error_of
from identity.access import AccessInterceptor
from identity.certificates import read_leaf
from identity.channels import MAX_BOOTSTRAP_SIZE, SERVER_OPTIONS, listen
from identity.credentials import Credentials
from identity.keys import new_key_and_csr
from identity.model import NodeIdentity
from manager.ca import Authority, NodeCAService, authorize, bootstrap_server, first_manager, rotate_tokens
from proto import ca_pb2 as pb
from proto.ca_pb2_grpc import BootstrapStub, NodeCAStub, add_NodeCAServicer_to_server
from raft import Leadership
from tests.support.certificates import DAY
from tests.support.one_manager import OneManager


@dataclass
class Running:
    """One manager with both its servers."""

    manager: OneManager
    authority: Authority
    credentials: Credentials
    clock: ManualClock
    managers: str
    bootstrap: str

    @asynccontextmanager
    async def joiner(self) -> AsyncIterator[BootstrapStub]:
        options = [("grpc.ssl_target_name_override", "swarm-manager"), ("grpc.use_local_subchannel_pool", 1)]
        trusting = grpc.ssl_channel_credentials(self.manager.cluster.root_ca.cert)
        async with grpc.aio.secure_channel(self.bootstrap, trusting, options=options) as channel:
            yield BootstrapStub(channel)

    async def join(self, token: str, csr: bytes, availability: int = Availability.ACTIVE) -> bytes:
        """What the joiner is answered: the certificate."""
        async with self.joiner() as stub:
            request = pb.IssueCertificateRequest(token=token, csr=csr, availability=availability)
            try:
                return bytes((await stub.IssueCertificate(request, timeout=30)).certificate)
            except grpc.aio.AioRpcError as failure:
                raise error_of(failure) from None

    async def renew(self, caller: Credentials, csr: bytes) -> pb.IssueCertificateResponse:
        async with caller.channel(self.managers) as channel:
            try:
                return await NodeCAStub(channel).RenewCertificate(pb.RenewCertificateRequest(csr=csr), timeout=30)
            except grpc.aio.AioRpcError as failure:
                raise error_of(failure) from None


async def founded(clock: ManualClock) -> tuple[OneManager, Credentials]:
    manager = OneManager(clock)
    cluster = await manager.found()
    key, csr = new_key_and_csr()
    node, issued = first_manager(cluster, new_id(), csr, Availability.ACTIVE, clock.now())
    await manager.change(lambda tx: tx.create(node))
    return manager, Credentials(key, issued.certificate, issued.root)


@asynccontextmanager
async def running(manager: OneManager, credentials: Credentials, clock: ManualClock) -> AsyncIterator[Running]:
    authority = Authority(manager.store, manager.replicator, manager.consensus, credentials, clock, new_id)
    interceptor = AccessInterceptor(lambda who, access: authorize(manager.store, who, access), clock)
    server = grpc.aio.server(interceptors=[interceptor], options=list(SERVER_OPTIONS))
    add_NodeCAServicer_to_server(NodeCAService(authority), server)
    port = listen(server, "127.0.0.1:0", credentials.server_credentials())
    bootstrap = bootstrap_server(authority, clock)
    bootstrap_port = listen(bootstrap, "127.0.0.1:0", credentials.bootstrap_server_credentials())
    await server.start()
    await bootstrap.start()
    try:
        yield Running(manager, authority, credentials, clock, f"127.0.0.1:{port}", f"127.0.0.1:{bootstrap_port}")
    finally:
        await server.stop(0)
        await bootstrap.stop(0)


@pytest.fixture
async def leader() -> AsyncIterator[Running]:
    clock = ManualClock(time.time_ns())
    manager, credentials = await founded(clock)
    async with running(manager, credentials, clock) as one:
        yield one


def follow(follower: Running, leader_addr: str) -> None:
    follower.manager.consensus.leadership = Leadership(term=2, leader_id="x", leader_addr=leader_addr)


@asynccontextmanager
async def follower_of(leader: Running) -> AsyncIterator[Running]:
    """A second manager of the same cluster whose store is behind: it knows only the cluster."""
    key, csr = new_key_and_csr()
    issued = await leader.join(leader.manager.cluster.root_ca.manager_token, csr)
    behind = OneManager(leader.clock)
    old = leader.manager.cluster
    await behind.change(lambda tx: tx.create(old))
    async with running(behind, Credentials(key, issued, old.root_ca.cert), leader.clock) as follower:
        follow(follower, leader.managers)
        yield follower


async def test_CA_01_a_joiner_gets_the_root_and_then_a_certificate_of_its_tokens_role(leader: Running) -> None:
    root = leader.manager.cluster.root_ca
    async with leader.joiner() as stub:
        assert (await stub.GetRootCA(pb.GetRootCARequest(), timeout=30)).cert == root.cert
    for token, role in ((root.worker_token, Role.WORKER), (root.manager_token, Role.MANAGER)):
        key, csr = new_key_and_csr()
        credentials = Credentials(key, await leader.join(token, csr, Availability.PAUSE), root.cert)
        assert credentials.identity.role is role
        node = leader.manager.node(credentials.identity.node_id)
        assert node.spec.availability is Availability.PAUSE


async def test_CA_01_bad_requests_are_refused_and_leave_no_trace(leader: Running) -> None:
    root, csr = leader.manager.cluster.root_ca, new_key_and_csr()[1]
    before = list(leader.manager.store.nodes())
    with pytest.raises(PermissionDenied, match="rotated or mistyped"):
        await leader.join(root.worker_token[:-1] + ("0" if root.worker_token[-1] != "0" else "1"), csr)
    with pytest.raises(InvalidArgument, match="invalid join token"):
        await leader.join("x" * 10_000, csr)
    with pytest.raises(InvalidArgument, match="certificate request"):
        await leader.join(root.worker_token, b"not a request")
    with pytest.raises(InvalidArgument, match="certificate request is larger"):
        await leader.join(root.worker_token, b"x" * 10_000)
    with pytest.raises(InvalidArgument, match="unknown availability 7"):
        await leader.join(root.worker_token, csr, availability=7)
    with pytest.raises(ResourceExhausted, match="larger than max"):
        await leader.join(root.worker_token, b"x" * (MAX_BOOTSTRAP_SIZE + 1))
    assert list(leader.manager.store.nodes()) == before


async def test_CA_01_a_follower_passes_a_join_on_to_the_leader(leader: Running) -> None:
    async with follower_of(leader) as follower:
        root = leader.manager.cluster.root_ca
        key, csr = new_key_and_csr()
        joined = Credentials(key, await follower.join(root.worker_token, csr), root.cert)
        assert leader.manager.node(joined.identity.node_id).role is Role.WORKER
        assert follower.manager.store.node(joined.identity.node_id) is None
        with pytest.raises(PermissionDenied, match="rotated or mistyped"):
            await follower.join(root.worker_token[:-25] + "0" * 25, csr)


async def test_CA_02_a_follower_that_is_behind_does_not_admit_by_a_rotated_token(leader: Running) -> None:
    async with follower_of(leader) as follower:
        old = leader.manager.cluster.root_ca.worker_token
        rotated = rotate_tokens(leader.manager.cluster, worker=True, manager=True)
        await leader.manager.change(lambda tx: tx.update(rotated))
        assert follower.manager.cluster.root_ca.worker_token == old
        with pytest.raises(PermissionDenied, match="rotated"):
            await follower.join(old, new_key_and_csr()[1])
        await follower.join(rotated.root_ca.worker_token, new_key_and_csr()[1])


async def test_without_a_leader_a_join_is_told_to_try_again(leader: Running) -> None:
    follow(leader, "")
    with pytest.raises(Unavailable, match="no leader"):
        await leader.join(leader.manager.cluster.root_ca.worker_token, new_key_and_csr()[1])


async def test_followers_do_not_pass_a_join_round_in_a_circle(leader: Running) -> None:
    async with follower_of(leader) as follower:
        follow(leader, follower.managers)
        with pytest.raises(NotLeader):
            await follower.join(leader.manager.cluster.root_ca.worker_token, new_key_and_csr()[1])


async def test_CA_02_renewal_needs_no_token_and_names_no_one_but_the_caller(leader: Running) -> None:
    root = leader.manager.cluster.root_ca
    key, csr = new_key_and_csr()
    node = Credentials(key, await leader.join(root.worker_token, csr), root.cert)
    new_key, new_csr = new_key_and_csr()
    answer = await leader.renew(node, new_csr)
    renewed = Credentials(new_key, answer.certificate, answer.root)
    assert renewed.identity == node.identity
    assert answer.node_id == node.identity.node_id
    assert renewed.expires_at >= node.expires_at


async def test_a_promoted_node_renews_into_its_new_role(leader: Running) -> None:
    root = leader.manager.cluster.root_ca
    key, csr = new_key_and_csr()
    node = Credentials(key, await leader.join(root.worker_token, csr), root.cert)
    stored = leader.manager.node(node.identity.node_id)
    promoted = replace(stored, spec=replace(stored.spec, role=Role.MANAGER), role=Role.MANAGER)
    await leader.manager.change(lambda tx: tx.update(promoted))
    answer = await leader.renew(node, new_key_and_csr()[1])
    who = read_leaf(answer.certificate).identity
    assert who == NodeIdentity(node.identity.node_id, Role.MANAGER, leader.manager.cluster.id)


async def test_a_follower_names_the_leader_to_who_renews(leader: Running) -> None:
    async with follower_of(leader) as follower:
        follow(leader, "two:2377")
        with pytest.raises(NotLeader) as answer:
            await leader.renew(follower.credentials, new_key_and_csr()[1])
        assert answer.value.leader == "two:2377"


async def test_a_worker_may_not_pass_joins_on(leader: Running) -> None:
    root = leader.manager.cluster.root_ca
    key, csr = new_key_and_csr()
    worker = Credentials(key, await leader.join(root.worker_token, csr), root.cert)
    async with worker.channel(leader.managers) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await NodeCAStub(channel).ForwardIssue(pb.IssueCertificateRequest(token=root.manager_token, csr=csr))
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_one_address_may_not_ask_without_end(leader: Running) -> None:
    async with leader.joiner() as stub:
        for _ in range(100):
            await stub.GetRootCA(pb.GetRootCARequest(), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError, match="too many requests") as refusal:
            await stub.GetRootCA(pb.GetRootCARequest(), timeout=30)
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        leader.clock.advance(SECOND)
        await stub.GetRootCA(pb.GetRootCARequest(), timeout=30)


async def test_a_manager_whose_own_certificate_has_expired_certifies_itself(leader: Running) -> None:
    csr = new_key_and_csr()[1]
    assert read_leaf((await leader.authority.renew_own(csr)).certificate).identity == leader.credentials.identity
    follow(leader, "two:2377")
    with pytest.raises(NotLeader):
        await leader.authority.renew_own(csr)
    leader.clock.advance(91 * DAY)
    leaf = read_leaf((await leader.authority.renew_own(csr)).certificate)
    assert leaf.identity == leader.credentials.identity
    assert leaf.expires_at - leader.clock.now() <= DAY


async def test_a_port_that_is_taken_is_said_to_be(leader: Running) -> None:
    with pytest.raises(Unavailable, match=r"cannot listen on 127.0.0.1:\d+: another program"):
        listen(
            bootstrap_server(leader.authority, leader.clock), leader.bootstrap, leader.credentials.server_credentials()
        )
