"""What agents and nodes say: what is believed, and what it changes."""

from dataclasses import replace

import pytest

from core.clock import SECOND
from core.codec import encode
from core.errors import InvalidArgument, NotFound, PermissionDenied
from core.model import ContainerStatus, Node, NodeDescription, NodeState, NodeStatus, TaskState, TaskStatus
from manager.dispatcher.inbox import MOST, StatusInbox
from manager.dispatcher.nodes import MAX_DESCRIPTION, host_of, read_register, register, set_state
from manager.dispatcher.reports import MAX_TEXT, read_report, record_statuses
from manager.store import Store, Transaction
from proto import dispatcher_pb2 as pb
from tests.support.leading import make_task

RUNNING = TaskStatus(SECOND, TaskState.RUNNING, "started", container=ContainerStatus("c", address="172.17.0.2"))


@pytest.fixture
def tx() -> Transaction:
    transaction = Store().transaction()
    transaction.create(Node(id="n1"))
    transaction.create(make_task("a", "n1"))
    transaction.create(make_task("b", "n2"))
    return transaction


def report(**statuses: TaskStatus) -> pb.StatusReport:
    updates = [pb.TaskStatusUpdate(task_id=key, status=encode(status)) for key, status in statuses.items()]
    return pb.StatusReport(sequence=1, updates=updates)


def test_DSP_09_a_node_speaks_of_its_own_tasks_only(tx: Transaction) -> None:
    assert read_report(report(a=RUNNING, gone=RUNNING), "n1", tx) == {"a": RUNNING}
    with pytest.raises(PermissionDenied):
        read_report(report(a=RUNNING, b=RUNNING), "n1", tx)
    record_statuses(tx, "n1", {"b": RUNNING})
    assert tx.mark == 3, "nor is it written, whatever was read"


def test_DSP_09_a_lower_state_is_dropped_and_an_equal_report_writes_nothing(tx: Transaction) -> None:
    record_statuses(tx, "n1", {"a": RUNNING})
    written = tx.mark
    record_statuses(tx, "n1", {"a": RUNNING})
    record_statuses(tx, "n1", {"a": TaskStatus(2 * SECOND, TaskState.STARTING)})
    assert tx.mark == written
    record_statuses(tx, "n1", {"a": replace(RUNNING, message="healthy")})
    task = tx.task("a")
    assert task is not None
    assert task.status == replace(RUNNING, message="healthy")


def test_of_a_task_that_shall_stop_only_a_further_state_is_written(tx: Transaction) -> None:
    record_statuses(tx, "n1", {"a": RUNNING})
    told = tx.task("a")
    assert told is not None
    tx.update(replace(told, desired_state=TaskState.SHUTDOWN))
    written = tx.mark
    record_statuses(tx, "n1", {"a": replace(RUNNING, timestamp=9 * SECOND, message="still here")})
    assert tx.mark == written
    stopped = TaskStatus(9 * SECOND, TaskState.SHUTDOWN)
    record_statuses(tx, "n1", {"a": stopped})
    task = tx.task("a")
    assert task is not None
    assert task.status == stopped


def test_what_a_manager_gave_up_stays_given_up(tx: Transaction) -> None:
    tx.create(make_task("lost", "n1", TaskState.ORPHANED))
    written = tx.mark
    record_statuses(tx, "n1", {"lost": TaskStatus(state=TaskState.FAILED)})
    assert tx.mark == written


@pytest.mark.parametrize(
    "status",
    [
        TaskStatus(state=TaskState.ORPHANED),
        TaskStatus(state=TaskState.REMOVE),
        TaskStatus(state=TaskState.PENDING),
        replace(RUNNING, container=ContainerStatus("c" * 300)),
        replace(RUNNING, container=ContainerStatus("c", address="not an address")),
    ],
)
def test_what_no_agent_says_is_refused(status: TaskStatus, tx: Transaction) -> None:
    with pytest.raises(InvalidArgument):
        read_report(report(a=status), "n1", tx)


def test_an_unknown_state_is_refused(tx: Transaction) -> None:
    odd = report(a=RUNNING)
    odd.updates[0].status.state = 999
    with pytest.raises(InvalidArgument):
        read_report(odd, "n1", tx)


def test_long_texts_are_cut(tx: Transaction) -> None:
    long = replace(RUNNING, message="m" * 10_000, err="e" * 10_000)
    kept = read_report(report(a=long), "n1", tx)["a"]
    assert (len(kept.message), len(kept.err)) == (MAX_TEXT, MAX_TEXT)


def test_reports_are_acknowledged_once_all_of_them_is_written() -> None:
    inbox = StatusInbox()
    inbox.add(1, {str(number): RUNNING for number in range(MOST + 1)})
    assert len(inbox.take()) == MOST
    assert inbox.take() == {}
    assert inbox.next_ack() is None
    inbox.written()
    assert inbox.next_ack() is None
    assert len(inbox.take()) == 1
    inbox.written()
    assert inbox.next_ack() == 1
    assert inbox.next_ack() is None


def test_of_two_reports_on_a_task_the_newer_is_written_and_a_failed_one_is_not_acknowledged() -> None:
    inbox = StatusInbox()
    inbox.add(1, {"a": TaskStatus(state=TaskState.STARTING)})
    inbox.add(2, {"a": RUNNING})
    assert inbox.take() == {"a": RUNNING}
    inbox.failed()
    assert inbox.next_ack() is None
    inbox.add(3, {})
    assert inbox.take() == {}
    assert inbox.next_ack() == 3


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:192.0.2.1:4711", "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:4711", "2001:db8::1"),
        ("ipv6:[2001:db8::1]:4711", "2001:db8::1"),
    ],
)
def test_a_node_that_gives_no_address_is_where_its_connection_comes_from(peer: str, host: str) -> None:
    assert host_of(peer) == host
    assert read_register(pb.Register(), peer) == (NodeDescription(), host)


def test_a_description_is_bounded() -> None:
    huge = NodeDescription(engine_labels={"label": "x" * MAX_DESCRIPTION})
    with pytest.raises(InvalidArgument, match="64 KiB"):
        read_register(pb.Register(description=encode(huge)), "ipv4:192.0.2.1:4711")


def test_a_node_that_was_removed_cannot_register(tx: Transaction) -> None:
    with pytest.raises(NotFound):
        register(tx, "n9", NodeDescription(), "10.0.0.1")


def test_an_older_finding_does_not_undo_a_registration(tx: Transaction) -> None:
    register(tx, "n1", NodeDescription(), "10.0.0.1")
    set_state(tx, "n1", NodeState.DOWN, "heartbeat failure", lambda node_id: False)
    node = tx.node("n1")
    assert node is not None
    assert node.status == NodeStatus(NodeState.READY, "", "10.0.0.1")
    set_state(tx, "n1", NodeState.DOWN, "heartbeat failure", lambda node_id: True)
    node = tx.node("n1")
    assert node is not None
    assert node.status == NodeStatus(NodeState.DOWN, "heartbeat failure", "10.0.0.1")
