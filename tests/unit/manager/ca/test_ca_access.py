"""Who may call what: every RPC of every service, over TLS, with the wrong certificate of every sort."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import grpc
import pytest

from core.clock import ManualClock
from core.errors import PermissionDenied, PyswarmError, Removed, Unavailable
from core.model import Role
from identity.access import AccessInterceptor, required_access
from identity.credentials import Credentials
from identity.model import NodeIdentity
from manager.ca import authorize, with_removed_node
from manager.store import Store
from proto import access_pb2
from tests.support.certificates import DAY, EverythingServed, Issuer, Method, all_methods, call, serving
from tests.support.one_manager import OneManager

MANAGER, WORKER, REMOVED = "m" * 25, "w" * 25, "r" * 25
METHODS = [method for method in all_methods() if required_access(method.path) != access_pb2.ANYONE]
each_rpc = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.path)


@dataclass
class Served:
    """A manager's server, whose store knows one manager and one worker and has removed one node."""

    issuer: Issuer
    manager: OneManager
    address: str
    everything: EverythingServed

    async def attempt(self, caller: Credentials, method: Method) -> PyswarmError | None:
        """What the call is refused with; None if it came through to its handler."""
        self.everything.reached.clear()
        refusal: PyswarmError | None = None
        async with caller.channel(self.address) as channel:
            try:
                await call(channel, method)
            except PyswarmError as error:
                refusal = error
        assert self.everything.reached == ([] if refusal else [method.path])
        return refusal


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    manager = OneManager(ManualClock(time.time_ns()))
    cluster = await manager.found()
    issuer = Issuer(cluster.id)
    for node_id, role in ((MANAGER, Role.MANAGER), (WORKER, Role.WORKER), (REMOVED, Role.MANAGER)):
        await manager.add_node(node_id, role)
    removed = manager.node(REMOVED)
    await manager.change(lambda tx: tx.update(with_removed_node(manager.cluster, removed, issuer.now)))
    everything = EverythingServed()
    interceptor = AccessInterceptor(lambda identity, access: authorize(manager.store, identity, access))
    server = issuer.credentials(MANAGER, Role.MANAGER).server_credentials()
    async with serving(server, everything, interceptor) as address:
        yield Served(issuer, manager, address, everything)


@each_rpc
async def test_CA_04_a_manager_may_call_every_rpc(served: Served, method: Method) -> None:
    assert await served.attempt(served.issuer.credentials(MANAGER, Role.MANAGER), method) is None


@each_rpc
async def test_CA_04_a_worker_may_call_what_is_for_nodes_and_nothing_else(served: Served, method: Method) -> None:
    refusal = await served.attempt(served.issuer.credentials(WORKER), method)
    if required_access(method.path) == access_pb2.NODES:
        assert refusal is None
    else:
        assert isinstance(refusal, PermissionDenied)
        assert "only managers" in refusal.message


@each_rpc
async def test_CA_04_another_clusters_certificate_is_refused(served: Served, method: Method) -> None:
    signed_by_us = served.issuer.credentials(MANAGER, Role.MANAGER, cluster_id="f" * 25)
    refusal = await served.attempt(signed_by_us, method)
    assert isinstance(refusal, PermissionDenied)
    assert "another cluster" in refusal.message
    theirs = Issuer(served.issuer.cluster_id).credentials(MANAGER, Role.MANAGER).bundle
    trusting = grpc.ssl_channel_credentials(served.issuer.root, theirs.key, theirs.certificate)
    await _refused_at_the_door(served, trusting, method)


@each_rpc
async def test_CA_04_no_certificate_is_refused(served: Served, method: Method) -> None:
    await _refused_at_the_door(served, grpc.ssl_channel_credentials(served.issuer.root), method)


@each_rpc
async def test_CA_04_an_expired_certificate_is_refused(served: Served, method: Method) -> None:
    old = served.issuer.credentials(MANAGER, Role.MANAGER, now=served.issuer.now - 30 * DAY, lifetime=29 * DAY)
    assert isinstance(await served.attempt(old, method), Unavailable)


@each_rpc
async def test_CA_04_a_certificate_of_the_future_is_refused(served: Served, method: Method) -> None:
    early = served.issuer.credentials(MANAGER, Role.MANAGER, now=served.issuer.now + DAY)
    assert isinstance(await served.attempt(early, method), Unavailable)


@each_rpc
async def test_CA_10_a_removed_node_is_refused(served: Served, method: Method) -> None:
    refusal = await served.attempt(served.issuer.credentials(REMOVED, Role.MANAGER), method)
    assert isinstance(refusal, Removed)
    assert "was removed" in refusal.message


@each_rpc
async def test_CA_04_a_removal_is_felt_on_an_open_connection(served: Served, method: Method) -> None:
    async with served.issuer.credentials(MANAGER, Role.MANAGER).channel(served.address) as channel:
        await call(channel, method)
        node = served.manager.node(MANAGER)
        await served.manager.change(lambda tx: tx.update(with_removed_node(served.manager.cluster, node, 0)))
        served.everything.reached.clear()
        with pytest.raises(PermissionDenied, match="was removed"):
            await call(channel, method)
    assert served.everything.reached == []


@each_rpc
async def test_CA_04_a_demotion_is_felt_on_an_open_connection(served: Served, method: Method) -> None:
    """The log's own calls go on: who its members are, the log knows better than a store that may lag behind it."""
    async with served.issuer.credentials(MANAGER, Role.MANAGER).channel(served.address) as channel:
        await call(channel, method)
        node = served.manager.node(MANAGER)
        await served.manager.change(lambda tx: tx.update(replace(node, role=Role.WORKER)))
        if required_access(method.path) == access_pb2.MANAGERS:
            with pytest.raises(PermissionDenied, match="no manager any more"):
                await call(channel, method)
        else:
            await call(channel, method)


@each_rpc
async def test_CA_04_a_node_that_is_not_known_yet_is_told_to_try_again(served: Served, method: Method) -> None:
    refusal = await served.attempt(served.issuer.credentials("u" * 25, Role.MANAGER), method)
    if required_access(method.path) == access_pb2.MEMBERS:
        assert refusal is None
    else:
        assert isinstance(refusal, Unavailable)
        assert "try again" in refusal.message


def test_an_empty_store_lets_only_the_log_be_caught_up() -> None:
    leader = NodeIdentity(MANAGER, Role.MANAGER, "c" * 25)
    authorize(Store(), leader, access_pb2.MEMBERS)
    for access in (access_pb2.MANAGERS, access_pb2.NODES):
        with pytest.raises(Unavailable):
            authorize(Store(), leader, access)
    with pytest.raises(PermissionDenied):
        authorize(Store(), replace(leader, role=Role.WORKER), access_pb2.MEMBERS)


def test_what_is_for_nobody_or_anyone_is_not_for_nodes() -> None:
    for access in (access_pb2.NOBODY, access_pb2.ANYONE):
        with pytest.raises(PermissionDenied):
            authorize(Store(), NodeIdentity(MANAGER, Role.MANAGER, "c" * 25), access)


async def _refused_at_the_door(served: Served, credentials: grpc.ChannelCredentials, method: Method) -> None:
    """The handshake fails, so that the call cannot be sent."""
    served.everything.reached.clear()
    options = [("grpc.ssl_target_name_override", "swarm-manager"), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(served.address, credentials, options=options) as channel:
        with pytest.raises(Unavailable):
            await call(channel, method)
    assert served.everything.reached == []
