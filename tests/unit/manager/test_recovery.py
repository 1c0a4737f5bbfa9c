"""What becomes of a cluster's objects when one manager goes on alone, and when a copy becomes a cluster again."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from core.clock import SECOND
from core.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from core.ids import new_id
from core.model import Cluster, Node, NodeSpec, NodeState, NodeStatus, Role, Task, TaskState, TaskStatus
from identity.model import NodeIdentity
from manager.backup import sealed, write_copy
from manager.ca import authorize, new_cluster
from manager.recovery import lead_alone, restore, with_first_node, without_other_managers
from manager.store import Store, Transaction, encode_entry
from proto.access_pb2 import MEMBERS
from raft import MAX_COMMAND, codec, create_from_copy
from raft.storage import state
from raft.storage.journal import SUFFIX
from tests.support.small_cluster import SmallCluster, spec

NOW = 1_700_000_000 * SECOND
PASSPHRASE = "correct horse battery staple"


def manager(node_id: str, role: Role = Role.MANAGER, wanted: Role = Role.MANAGER) -> Node:
    return Node(id=node_id, role=role, spec=NodeSpec(role=wanted), status=NodeStatus(NodeState.READY))


@pytest.fixture
def cluster() -> SmallCluster:
    """Three managers, two workers, one that is being promoted; a service on all of them."""
    made = SmallCluster(nodes=2)
    for node in (manager("m1"), manager("m2"), manager("m3"), manager("promoted", role=Role.WORKER)):
        made.put_node(node)
    return made


def test_RFT_05_the_other_managers_are_removed_and_refused(cluster: SmallCluster) -> None:
    web = cluster.create(spec(6))
    cluster.obey()
    workers = {node.id: node for node in cluster.store.nodes() if node.role is Role.WORKER}
    cluster.write(lambda tx: without_other_managers(tx, "m2", NOW))
    left = {node.id: node for node in cluster.store.nodes()}
    assert left.keys() == {"m2", "promoted", "node-0", "node-1"}
    assert {node_id: left[node_id] for node_id in workers} == workers
    for node_id in ("m1", "m3"):
        with pytest.raises(PermissionDenied, match="leave --force` on it and join again"):
            authorize(cluster.store, NodeIdentity(node_id, Role.MANAGER, "cluster"), MEMBERS)
    cluster.lead()
    cluster.settle()
    cluster.obey()
    assert len(cluster.running(web.id)) == 6
    assert {task.node_id for task in cluster.running(web.id)} <= left.keys()


@pytest.mark.parametrize("role", Role)
def test_a_manager_that_was_to_be_demoted_stays_one(cluster: SmallCluster, role: Role) -> None:
    cluster.put_node(manager("m2", wanted=Role.WORKER, role=role))
    cluster.write(lambda tx: without_other_managers(tx, "m2", NOW))
    assert cluster.node("m2").spec.role is cluster.node("m2").role is Role.MANAGER


def test_the_lost_managers_may_have_had_more_tasks_than_one_entry_has_room_for(tmp_path: Path) -> None:
    cluster, folder = SmallCluster(), tmp_path / "raft"
    own, lost = manager(new_id()), manager(new_id())
    for node in (own, lost):
        cluster.put_node(node)
    web = cluster.create(spec(0))
    running = TaskStatus(NOW, TaskState.RUNNING, "started")

    def run(tx: Transaction) -> None:
        for slot in range(1, 3001):
            task = Task(id=new_id(), service_id=web.id, slot=slot, node_id=lost.id, spec=web.spec.task, status=running)
            tx.create(replace(task, spec_version=web.spec_version))

    for _ in range(3):
        cluster.write(run)
    identity = NodeIdentity(own.id, Role.MANAGER, new_id())
    create_from_copy(folder, "192.0.2.1:2377", identity, cluster.store.index, cluster.store.freeze()())
    lead_alone(folder, "192.0.2.1:2377", identity, NOW)
    held = state.load(folder, identity.cluster_id, identity.node_id)
    held.journal.close()
    store = cluster.store
    bodies = [(entry.idx, codec.decode_command(entry.command)[1]) for entry in held.journal.entries]
    entries = [(index, body) for index, body in bodies if isinstance(body, bytes)]
    assert len(entries) > 1
    for index, entry in entries:
        assert len(entry) <= MAX_COMMAND
        store.apply(index, b"", entry)
    assert [node.id for node in store.nodes()] == [own.id]
    assert [task.status.state for task in store.tasks()] == [TaskState.ORPHANED] * 9000


def test_a_log_without_the_clusters_state_is_refused() -> None:
    transaction = Store().transaction()
    with pytest.raises(FailedPrecondition, match="use another manager, or a backup"):
        without_other_managers(transaction, "m1", NOW)


def test_a_copy_keeps_settings_and_services_and_makes_the_tasks_anew(cluster: SmallCluster) -> None:
    web = cluster.create(spec(3))
    cluster.obey()
    before, old_tasks = cluster.store.cluster, {task.id for task in cluster.tasks(web.id)}
    assert before is not None
    assert len(cluster.running(web.id)) == 3
    cluster.write(lambda tx: with_first_node(tx, manager("first"), NOW))
    assert [node.id for node in cluster.store.nodes()] == ["first"]
    assert cluster.tasks(web.id) == []
    after = cluster.store.cluster
    assert after is not None
    assert (after.id, after.spec, after.root_ca) == (before.id, before.spec, before.root_ca)
    assert cluster.service(web.id).spec == web.spec
    cluster.lead()
    cluster.settle()
    cluster.obey()
    assert [task.node_id for task in cluster.running(web.id)] == ["first"] * 3
    assert not old_tasks & {task.id for task in cluster.tasks(web.id)}


def test_the_nodes_of_the_lost_cluster_are_refused_with_what_to_do(cluster: SmallCluster) -> None:
    cluster.write(lambda tx: with_first_node(tx, manager("first"), NOW))
    for node_id in ("m1", "node-0"):
        with pytest.raises(PermissionDenied, match="leave --force` on it and join again"):
            authorize(cluster.store, NodeIdentity(node_id, Role.MANAGER, "cluster"), MEMBERS)


@pytest.fixture
def backup(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Of a cluster with an authority, one manager and one service."""
    monkeypatch.setattr(sealed, "_SCRYPT_N", 2)
    store = Store()
    small = SmallCluster(nodes=1)
    small.create(spec(2))
    made = small.store.transaction()
    made.delete(Cluster, "cluster")
    made.create(new_cluster(NOW, new_id))
    changes = made.changes()
    made.rollback()
    store.restore(small.store.index, small.store.freeze()())
    store.apply(store.index + 1, b"", encode_entry(changes, NOW, store.spec))
    return b"".join(write_copy(store, PASSPHRASE))


def test_a_restored_manager_has_credentials_of_the_same_authority(tmp_path: Path, backup: bytes) -> None:
    folder = tmp_path / "raft"
    credentials = restore(BytesIO(backup), PASSPHRASE, folder, "192.0.2.1:2377", "192.0.2.1", NOW)
    identity = credentials.identity
    held = state.load(folder, identity.cluster_id, identity.node_id)
    held.journal.close()
    assert list(held.membership.current.voters) == [identity.node_id]
    assert held.snapshot is not None
    store = Store()
    store.restore(held.snapshot.index, held.snapshot.chunks())
    assert store.cluster is not None
    assert (identity.role, identity.cluster_id) == (Role.MANAGER, store.cluster.id)
    assert credentials.bundle.root == store.cluster.root_ca.cert
    (own,) = store.nodes()
    assert (own.id, own.role, own.status.addr) == (identity.node_id, Role.MANAGER, "192.0.2.1")
    assert [service.spec.name for service in store.services()] == ["web"]


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_damaged_copy_leaves_nothing(tmp_path: Path, backup: bytes, keep: float) -> None:
    folder = tmp_path / "raft"
    with pytest.raises(InvalidArgument, match="backup"):
        restore(BytesIO(backup[: int(keep * len(backup))]), PASSPHRASE, folder, "192.0.2.1:2377", "192.0.2.1", NOW)
    assert not list(tmp_path.rglob(f"*{SUFFIX}"))
