"""Transactions: all or nothing, on the newest version, each change once."""

from dataclasses import replace

import pytest

from core.errors import AlreadyExists, FailedPrecondition, NotFound, OutOfSequence
from core.model import Node, Service, ServiceSpec, Task, TaskState, TaskStatus
from manager.store import EventKind, Store, encode_entry

WEB = Service(id="s1", spec=ServiceSpec("web"))


@pytest.fixture
def store() -> Store:
    return Store()


def commit(store: Store, *items: Service | Node | Task) -> None:
    tx = store.transaction()
    for item in items:
        tx.create(item)
    changes = tx.changes()
    tx.rollback()
    store.apply(store.index + 1, b"", encode_entry(changes, 5, store.spec))


def test_RFT_09_a_stale_version_is_refused(store: Store) -> None:
    commit(store, WEB)
    read = store.service("s1")
    assert read is not None
    with pytest.raises(OutOfSequence, match="update out of sequence"):
        store.transaction().update(replace(read, meta=replace(read.meta, version=read.meta.version - 1)))


def test_RFT_09_an_object_that_an_earlier_writer_of_the_same_entry_changed_is_stale(store: Store) -> None:
    commit(store, WEB)
    read = store.service("s1")
    assert read is not None
    tx = store.transaction()
    tx.update(replace(read, error="first"))
    with pytest.raises(OutOfSequence):
        tx.update(replace(read, error="second"))
    tx.rollback()


def test_RFT_09_a_name_is_refused_twice_whatever_its_case(store: Store) -> None:
    commit(store, WEB)
    tx = store.transaction()
    with pytest.raises(AlreadyExists, match="name conflicts"):
        tx.create(Service(id="s2", spec=ServiceSpec("WEB")))
    with pytest.raises(AlreadyExists):
        tx.create(WEB)


def test_a_name_is_free_again_once_its_service_is_deleted(store: Store) -> None:
    commit(store, WEB)
    tx = store.transaction()
    tx.delete(Service, "s1")
    tx.create(Service(id="s2", spec=ServiceSpec("Web")))
    found = tx.service_by_name("web")
    assert found is not None
    assert found.id == "s2"
    tx.rollback()
    found = store.service_by_name("WEB")
    assert found is not None
    assert found.id == "s1"


def test_RFT_09_a_transaction_that_is_rolled_back_leaves_no_trace(store: Store) -> None:
    task = Task(id="t1", service_id="s1", slot=1)
    commit(store, WEB, Node(id="n1"), task)
    before = b"".join(store.freeze()())
    tx = store.transaction()
    held = tx.task("t1")
    assert held is not None
    tx.update(replace(held, node_id="n1"))
    tx.delete(Service, "s1")
    tx.create(Task(id="t2", service_id="s1", slot=2, node_id="n1"))
    tx.delete(Node, "n1")
    assert [task.id for task in tx.tasks_of_node("n1")] == ["t1", "t2"]
    tx.rollback()
    assert b"".join(store.freeze()()) == before
    assert not list(store.tasks_of_node("n1"))
    assert list(store.slots("s1")) == [1]
    assert store.service_by_name("web") is not None


def test_what_is_not_there_cannot_be_changed(store: Store) -> None:
    tx = store.transaction()
    with pytest.raises(NotFound, match="node n1 not found"):
        tx.update(Node(id="n1"))
    with pytest.raises(NotFound):
        tx.delete(Task, "t1")


def test_states_of_a_task_never_go_back(store: Store) -> None:
    running = Task(id="t1", status=TaskStatus(state=TaskState.RUNNING), desired_state=TaskState.SHUTDOWN)
    commit(store, running)
    task = store.task("t1")
    assert task is not None
    tx = store.transaction()
    with pytest.raises(FailedPrecondition, match="from RUNNING to READY"):
        tx.update(replace(task, status=TaskStatus(state=TaskState.READY)))
    with pytest.raises(FailedPrecondition, match="from SHUTDOWN to RUNNING"):
        tx.update(replace(task, desired_state=TaskState.RUNNING))
    assert not tx.changes()


def test_reads_see_what_was_written_before_through_every_index(store: Store) -> None:
    tx = store.transaction()
    tx.create(WEB)
    tx.create(Task(id="t1", service_id="s1", slot=3))
    task = tx.task("t1")
    assert task is not None
    tx.update(replace(task, node_id="n1"))
    moved = tx.task("t1")
    assert list(tx.tasks_of_node("n1")) == [moved]
    assert list(tx.tasks_of_service("s1")) == [moved]
    assert tx.tasks_of_slot("s1", 3) == (moved,)
    assert [service.id for service in tx.services_like("s")] == ["s1"]
    tx.delete(Task, "t1")
    assert not list(tx.tasks_of_service("s1"))
    assert not list(tx.tasks_of_node("n1"))


def test_a_global_tasks_slot_is_its_node(store: Store) -> None:
    commit(store, Task(id="t1", service_id="s1", node_id="n1"), Task(id="t2", service_id="s1", node_id="n2"))
    assert [task.id for task in store.tasks_of_slot("s1", "n2")] == ["t2"]
    assert list(store.slots("s1")) == ["n1", "n2"]


def test_writes_to_one_object_come_to_one_change(store: Store) -> None:
    commit(store, WEB)
    tx = store.transaction()
    tx.create(Task(id="t1"))
    task, service = tx.task("t1"), tx.service("s1")
    assert task is not None
    assert service is not None
    tx.update(replace(task, node_id="n1"))
    tx.update(replace(service, error="full"))
    tx.create(Task(id="t2"))
    tx.delete(Task, "t2")
    tx.delete(Service, "s1")
    kinds = [(change.kind, change.object.id) for change in tx.changes()]
    assert kinds == [(EventKind.CREATE, "t1"), (EventKind.DELETE, "s1")]
    tx.rollback()


def test_a_rollback_to_a_mark_keeps_what_was_before_it(store: Store) -> None:
    tx = store.transaction()
    tx.create(Node(id="n1"))
    mark = tx.mark
    tx.create(Node(id="n2"))
    assert [event.object.id for event in tx.events_since(mark)] == ["n2"]
    tx.rollback(mark)
    assert [node.id for node in tx.nodes()] == ["n1"]
