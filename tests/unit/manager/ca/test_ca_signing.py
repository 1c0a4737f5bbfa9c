"""What the authority decides: tokens, roles, lives of certificates, removed nodes."""

from dataclasses import replace

import pytest

from core.clock import SECOND, ManualClock
from core.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from core.ids import new_id
from core.model import Availability, ClusterSpec, Node, NodeSpec, Role
from identity.certificates import fingerprint, load_certificate, read_leaf
from identity.keys import new_key_and_csr
from identity.model import NodeIdentity
from identity.tokens import new_token, parse_token
from manager.ca import first_manager, new_cluster, rotate_tokens, with_removed_node
from manager.ca.signing import Issued, admit, reissue, renew
from manager.store import Store
from tests.support.certificates import DAY, HOUR
from tests.support.one_manager import OneManager

CSR = new_key_and_csr()[1]
NODE = "n" * 25


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def manager(clock: ManualClock) -> OneManager:
    one = OneManager(clock)
    await one.found()
    return one


async def joined(manager: OneManager, clock: ManualClock, token: str, node_id: str = NODE) -> Issued:
    return await manager.replicator.update(lambda tx: admit(tx, token, CSR, Availability.ACTIVE, node_id, clock.now()))


async def renewed(manager: OneManager, clock: ManualClock, node_id: str = NODE) -> Issued:
    return await manager.replicator.update(lambda tx: renew(tx, node_id, CSR, clock.now()))


async def test_CA_01_the_role_follows_the_token(manager: OneManager, clock: ManualClock) -> None:
    tokens = {Role.WORKER: manager.cluster.root_ca.worker_token, Role.MANAGER: manager.cluster.root_ca.manager_token}
    for role, token in tokens.items():
        node_id = new_id()
        issued = await joined(manager, clock, token, node_id)
        assert read_leaf(issued.certificate).identity == NodeIdentity(node_id, role, manager.cluster.id)
        assert (issued.role, issued.cluster_id, issued.root) == (role, manager.cluster.id, manager.cluster.root_ca.cert)
        node = manager.node(node_id)
        assert (node.role, node.spec.role) == (role, role)


async def test_CA_01_a_node_is_recorded_with_its_certificate(manager: OneManager, clock: ManualClock) -> None:
    token = manager.cluster.root_ca.worker_token
    issued = await manager.replicator.update(lambda tx: admit(tx, token, CSR, Availability.DRAIN, NODE, clock.now()))
    node = manager.node(NODE)
    assert node.spec.availability is Availability.DRAIN
    assert node.certificate_expires_at == read_leaf(issued.certificate).expires_at
    assert node.certificate_issuer == fingerprint(load_certificate(manager.cluster.root_ca.cert))


async def test_CA_01_a_wrong_secret_is_refused_and_leaves_no_trace(manager: OneManager, clock: ManualClock) -> None:
    forged = new_token(manager.cluster.root_ca.cert)
    with pytest.raises(PermissionDenied, match=r"rotated or mistyped; `pyswarm join-token") as refusal:
        await joined(manager, clock, forged)
    assert parse_token(forged).secret not in refusal.value.message
    assert list(manager.store.nodes()) == []


async def test_CA_01_another_clusters_token_is_said_to_be_that(manager: OneManager, clock: ManualClock) -> None:
    foreign = new_cluster(clock.now(), new_id).root_ca.worker_token
    with pytest.raises(PermissionDenied, match="for another cluster"):
        await joined(manager, clock, foreign)


async def test_CA_01_what_is_no_token_is_refused(manager: OneManager, clock: ManualClock) -> None:
    for text in ("", "letmein", manager.cluster.root_ca.worker_token + "0", "é" * 40):
        with pytest.raises(InvalidArgument, match="invalid join token"):
            await joined(manager, clock, text)


async def test_CA_02_a_rotated_token_admits_nobody_and_who_is_in_stays(manager: OneManager, clock: ManualClock) -> None:
    old = manager.cluster.root_ca
    await joined(manager, clock, old.worker_token)
    await manager.change(lambda tx: tx.update(rotate_tokens(manager.cluster, worker=True, manager=False)))
    new = manager.cluster.root_ca
    assert new.manager_token == old.manager_token
    assert new.worker_token != old.worker_token
    assert (new.cert, new.key) == (old.cert, old.key)

    with pytest.raises(PermissionDenied, match="rotated"):
        await joined(manager, clock, old.worker_token, new_id())
    await joined(manager, clock, new.worker_token, new_id())
    await joined(manager, clock, old.manager_token, new_id())
    assert read_leaf((await renewed(manager, clock)).certificate).identity.node_id == NODE


async def test_CA_02_a_token_that_is_rotated_in_the_same_moment_admits_nobody(
    manager: OneManager, clock: ManualClock
) -> None:
    store, old = manager.store, manager.cluster.root_ca.worker_token
    tx = store.transaction()
    tx.update(rotate_tokens(manager.cluster, worker=True, manager=True))
    with pytest.raises(PermissionDenied):
        admit(tx, old, CSR, Availability.ACTIVE, NODE, clock.now())
    tx.rollback()


async def test_CA_05_certificates_live_as_long_as_the_cluster_says(manager: OneManager, clock: ManualClock) -> None:
    token = manager.cluster.root_ca.worker_token
    for expiry, life in ((ClusterSpec().node_cert_expiry, 90 * DAY), (2 * HOUR, 2 * HOUR), (1 * SECOND, HOUR)):
        changed = replace(manager.cluster, spec=ClusterSpec(node_cert_expiry=expiry))
        await manager.change(lambda tx, changed=changed: tx.update(changed))  # type: ignore[misc]
        leaf = read_leaf((await joined(manager, clock, token, new_id())).certificate)
        assert leaf.expires_at == clock.now() + life
        assert leaf.not_before == clock.now() - HOUR


async def test_renewal_gives_the_role_of_now(manager: OneManager, clock: ManualClock) -> None:
    await joined(manager, clock, manager.cluster.root_ca.worker_token)
    promoted = replace(manager.node(NODE), spec=NodeSpec(role=Role.MANAGER), role=Role.MANAGER)
    await manager.change(lambda tx: tx.update(promoted))
    clock.advance(DAY)
    issued = await renewed(manager, clock)
    assert read_leaf(issued.certificate).identity.role is Role.MANAGER
    node = manager.node(NODE)
    assert node.role is Role.MANAGER
    assert node.certificate_expires_at == clock.now() + 90 * DAY


async def test_renewal_of_a_node_that_is_gone_is_refused(manager: OneManager, clock: ManualClock) -> None:
    with pytest.raises(NotFound):
        await renewed(manager, clock)
    with pytest.raises(NotFound):
        reissue(manager.store, NODE, CSR, clock.now())
    with pytest.raises(Unavailable):
        renew(Store().transaction(), NODE, CSR, clock.now())


@pytest.mark.parametrize("held", [Role.WORKER, Role.MANAGER])
async def test_a_certificate_is_of_the_role_that_a_node_has_until_the_role_manager_has_changed_it(
    manager: OneManager, clock: ManualClock, held: Role
) -> None:
    """A demoted manager speaks as one until the log has let it go; promoted again it is a worker first."""
    await joined(manager, clock, manager.cluster.root_ca.worker_token)
    wanted = Role.WORKER if held is Role.MANAGER else Role.MANAGER
    await manager.change(lambda tx: tx.update(replace(manager.node(NODE), spec=NodeSpec(role=wanted), role=held)))
    assert read_leaf((await renewed(manager, clock)).certificate).identity.role is held
    assert manager.node(NODE).role is held


async def test_a_manager_may_certify_itself_for_a_day_without_the_log(manager: OneManager, clock: ManualClock) -> None:
    await joined(manager, clock, manager.cluster.root_ca.manager_token)
    clock.advance(200 * DAY)
    leaf = read_leaf(reissue(manager.store, NODE, CSR, clock.now()).certificate)
    assert leaf.identity.role is Role.MANAGER
    assert leaf.expires_at == clock.now() + DAY
    worker = new_id()
    await joined(manager, clock, manager.cluster.root_ca.worker_token, worker)
    with pytest.raises(PermissionDenied):
        reissue(manager.store, worker, CSR, clock.now())


def test_the_first_manager_is_certified_before_there_is_a_store(clock: ManualClock) -> None:
    cluster = new_cluster(clock.now(), new_id)
    node, issued = first_manager(cluster, NODE, CSR, Availability.PAUSE, clock.now())
    assert read_leaf(issued.certificate).identity == NodeIdentity(NODE, Role.MANAGER, cluster.id)
    assert (node.id, node.role, node.spec) == (
        NODE,
        Role.MANAGER,
        NodeSpec(role=Role.MANAGER, availability=Availability.PAUSE),
    )
    assert node.certificate_expires_at == clock.now() + 90 * DAY


def test_a_new_cluster_shares_nothing_with_another(clock: ManualClock) -> None:
    one, other = new_cluster(clock.now(), new_id), new_cluster(clock.now(), new_id)
    assert one.id != other.id
    assert one.root_ca.cert != other.root_ca.cert
    assert len({t for c in (one, other) for t in (c.root_ca.worker_token, c.root_ca.manager_token)}) == 4
    assert "PRIVATE KEY" not in repr(one)
    assert "SWMTKN" not in repr(one)


async def test_CA_10_a_removed_node_is_remembered_for_its_longest_certificate(
    manager: OneManager, clock: ManualClock
) -> None:
    first = await joined(manager, clock, manager.cluster.root_ca.manager_token)
    shorter = replace(manager.cluster, spec=ClusterSpec(node_cert_expiry=HOUR))
    await manager.change(lambda tx: tx.update(shorter))
    await renewed(manager, clock)
    cluster = with_removed_node(manager.cluster, manager.node(NODE), clock.now())
    assert cluster.removed_nodes[NODE] == read_leaf(first.certificate).expires_at + 7 * DAY


def test_CA_10_a_removed_node_is_remembered_until_a_week_after_its_certificate_expired(clock: ManualClock) -> None:
    cluster = new_cluster(clock.now(), new_id)
    node = Node("a" * 25, certificate_expires_at=clock.now() + 90 * DAY)
    cluster = with_removed_node(cluster, node, clock.now())
    assert cluster.removed_nodes == {node.id: clock.now() + 97 * DAY}

    clock.advance(97 * DAY - 1)
    cluster = with_removed_node(cluster, Node("b" * 25, certificate_expires_at=1), clock.now())
    assert set(cluster.removed_nodes) == {"a" * 25, "b" * 25}
    assert cluster.removed_nodes["b" * 25] == clock.now() + 7 * DAY
    clock.advance(1)
    cluster = with_removed_node(cluster, Node("c" * 25), clock.now())
    assert set(cluster.removed_nodes) == {"b" * 25, "c" * 25}
    assert cluster.removed_nodes["c" * 25] == clock.now() + 97 * DAY
