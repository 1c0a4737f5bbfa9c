"""Placement: spread, filters, reasons, and what brings a waiting task back."""

from collections import Counter
from dataclasses import replace

import pytest

from core.clock import SECOND
from core.model import Availability, Node, NodeSpec, NodeState, Platform, Service, Task, TaskState
from tests.support.scheduling import Scheduling, waiting_task
from tests.support.stage import make_node


def test_SCH_01_new_tasks_go_to_the_least_loaded_nodes():
    stage = Scheduling()
    stage.put_nodes(3)
    for node_id, load in (("node0", 4), ("node1", 2), ("node2", 0)):
        for number in range(load):
            task = waiting_task(f"old{node_id}{number}", f"old{node_id}", node_id=node_id)
            stage.put(replace(task, status=replace(task.status, state=TaskState.RUNNING)))
    for service_id in ("a", "b", "c", "d", "e", "f"):
        stage.waiting(service_id)
    stage.run()
    total = sum((stage.where(service_id) for service_id in "abcdef"), Counter())
    assert total == {"node1": 2, "node2": 4}


def test_SCH_01_a_change_of_a_node_does_not_disturb_its_load():
    stage = Scheduling()
    stage.put_nodes(2)
    stage.waiting("a", 10)
    stage.run()
    for _ in range(3):
        node = stage.tx.node("node0")
        stage.put(replace(node, spec=NodeSpec(labels={**node.spec.labels, f"l{stage.writes()}": ""})))
        stage.run()
    stage.waiting("b", 10)
    stage.run()
    assert stage.where("a") == stage.where("b") == {"node0": 5, "node1": 5}


def test_SCH_02_a_task_that_loses_its_node_while_pending_is_scheduled_again():
    stage = Scheduling()
    stage.put(make_node("down", state=NodeState.DOWN))
    stage.put(make_node("ready"))
    (task_id,) = stage.waiting("global", node_id="down")
    stage.run()
    assert stage.task(task_id).status.state is TaskState.PENDING
    stage.put(replace(stage.task(task_id), node_id=""))
    stage.run()
    assert stage.node_of(task_id) == "ready"


@pytest.mark.parametrize("fate", ["removed", "never ready", "taken down"])
def test_SCH_03_a_node_that_is_not_ready_gets_no_task_until_it_is(fate: str):
    stage = Scheduling()
    stage.run()
    node = make_node("node", state=NodeState.UNKNOWN if fate == "never ready" else NodeState.READY)
    stage.put(node)
    if fate == "removed":
        stage.remove(Node, "node")
    elif fate == "taken down":
        stage.put(replace(node, status=replace(node.status, state=NodeState.DOWN)))
    (task_id,) = stage.waiting("a")
    stage.run()
    assert stage.task(task_id).status.state is TaskState.PENDING
    stage.put(make_node("node"))
    stage.run()
    assert stage.node_of(task_id) == "node"


@pytest.mark.parametrize("availability", [Availability.PAUSE, Availability.DRAIN])
def test_SCH_03_a_paused_or_drained_node_gets_no_task(availability: Availability):
    stage = Scheduling()
    stage.put(make_node("node", spec=NodeSpec(availability=availability)))
    (task_id,) = stage.waiting("a")
    stage.run()
    assert stage.reason(task_id) == "no suitable node (1 node not available for new tasks)"


def test_SCH_04_spread_is_per_service_first_then_by_load():
    stage = Scheduling()
    stage.put_nodes(4)
    stage.waiting("packed", 1)
    stage.run()
    (packed,) = stage.where("packed")
    # A service of four goes to all nodes, also to the one that is fuller than the others.
    stage.waiting("a", 4)
    stage.run()
    assert set(stage.where("a").values()) == {1}
    assert len(stage.where("a")) == 4
    # With three more the fullest one stays behind.
    stage.waiting("a", 3)
    stage.run()
    assert stage.where("a")[packed] == 1
    # Another service's task avoids it too.
    (other,) = stage.waiting("b")
    stage.run()
    assert stage.node_of(other) == packed  # three nodes have two tasks of a each, this one has a packed and an a
    (third,) = stage.waiting("c")
    stage.run()
    assert stage.node_of(third) != packed


def test_SCH_04_a_service_is_level_on_every_node_whatever_else_runs_there():
    stage = Scheduling(max_tasks=7)
    ids = stage.put_nodes(5)
    for number in range(12):
        task = waiting_task(f"other{number}", "other", node_id="node0")
        stage.put(replace(task, status=replace(task.status, state=TaskState.RUNNING)))
    stage.waiting("a", 52)
    stage.run()
    assert sorted(stage.where("a").values()) == [10, 10, 10, 11, 11]
    assert stage.where("a")["node0"] == 10
    assert set(stage.where("a")) == set(ids)


def test_SCH_08_without_a_ready_node_a_task_waits_with_a_reason_and_goes_on_with_the_first():
    stage = Scheduling()
    (task_id,) = stage.waiting("a")
    stage.run()
    assert stage.reason(task_id) == "no suitable node"
    stage.put(make_node("node", state=NodeState.DOWN))
    stage.run()
    assert stage.reason(task_id) == "no suitable node (1 node not available for new tasks)"
    stage.put(make_node("node"))
    stage.run()
    assert stage.node_of(task_id) == "node"
    task = stage.task(task_id)
    assert (task.status.err, task.status.message) == ("", "scheduler assigned task to node")


def test_SCH_12_the_reason_is_written_once_and_again_only_when_it_changes():
    stage = Scheduling()
    ids = stage.waiting("a", 3, cpus=8)
    stage.put_nodes(2)
    stage.run()
    written = stage.writes()
    stage.put(replace(stage.tx.node("node0"), port_errors=()))
    stage.run()
    assert stage.writes() == written + 1
    stage.put(make_node("node9"))
    stage.run()
    assert stage.writes() == written + 2 + len(ids)
    assert stage.reason(ids[0]) == "no suitable node (insufficient resources on 3 nodes)"


def test_SCH_12_a_waiting_task_is_not_polled():
    stage = Scheduling()
    stage.put_nodes(1, state=NodeState.DOWN)
    stage.waiting("a", 3)
    stage.run()
    assert stage.wake_up is None


def test_SCH_12_constraints_gate_placement():
    stage = Scheduling()
    stage.put(make_node("plain"))
    (task_id,) = stage.waiting("a", constraints=["node.labels.disk==ssd"])
    stage.run()
    assert stage.reason(task_id) == "no suitable node (scheduling constraints not satisfied on 1 node)"
    stage.put(make_node("plain", spec=NodeSpec(labels={"disk": "SSD"})))
    stage.run()
    assert stage.node_of(task_id) == "plain"


@pytest.mark.parametrize(
    ("wanted", "found", "fits"),
    [
        ([("amd64", "linux")], ("x86_64", "linux"), True),
        ([("x86_64", "linux")], ("amd64", "linux"), True),
        ([("aarch64", "linux")], ("arm64", "linux"), True),
        ([("arm64", "linux")], ("x86_64", "linux"), False),
        ([("amd64", "windows")], ("x86_64", "linux"), False),
        ([("", "linux")], ("x86_64", "linux"), True),
        ([("amd64", "")], ("x86_64", "linux"), True),
        ([("arm64", "linux"), ("amd64", "linux")], ("x86_64", "linux"), True),
        ([("", "linux")], ("", ""), False),
        ([], ("", ""), True),
    ],
)
def test_SCH_15_platforms(wanted: list[tuple[str, str]], found: tuple[str, str], fits: bool):
    stage = Scheduling()
    stage.put(make_node("node", platform=Platform(*found)))
    (task_id,) = stage.waiting("a", platforms=[Platform(*pair) for pair in wanted])
    stage.run()
    if fits:
        assert stage.node_of(task_id) == "node"
    else:
        assert stage.reason(task_id) == "no suitable node (unsupported platform on 1 node)"


def test_SCH_16_a_waiting_task_that_is_deleted_is_forgotten():
    stage = Scheduling()
    (task_id,) = stage.waiting("a")
    stage.run()
    stage.remove(Task, task_id)
    stage.run()
    written = stage.writes()
    stage.put_nodes(1)
    stage.run()
    assert stage.writes() == written + 1


def test_SCH_17_tasks_of_a_given_node_come_first():
    stage = Scheduling()
    stage.put(make_node("node", memory=1 << 30))
    (ordinary,) = stage.waiting("a", memory=1 << 30)
    (given,) = stage.waiting("global", node_id="node", memory=1 << 30)
    stage.run()
    assert stage.node_of(given) == "node"
    assert stage.task(given).status.message == "scheduler confirmed task can run on preassigned node"
    assert stage.reason(ordinary) == "no suitable node (insufficient resources on 1 node)"


def test_SCH_17_a_task_of_a_given_node_waits_for_that_node():
    stage = Scheduling()
    stage.put(make_node("other"))
    stage.put(make_node("node", spec=NodeSpec(availability=Availability.PAUSE)))
    (task_id,) = stage.waiting("global", node_id="node")
    stage.run()
    assert stage.task(task_id).status.err == "no suitable node (1 node not available for new tasks)"
    stage.put(make_node("node"))
    stage.run()
    assert stage.task(task_id).status.state is TaskState.ASSIGNED


def test_SCH_17_a_task_of_a_given_node_goes_on_when_there_is_room_on_it_again():
    stage = Scheduling()
    stage.put(make_node("node", memory=1 << 30))
    (first,) = stage.waiting("a", memory=1 << 30)
    stage.run()
    (given,) = stage.waiting("global", node_id="node", memory=1 << 30)
    stage.run()
    assert stage.task(given).status.err == "no suitable node (insufficient resources on 1 node)"
    stage.becomes(first, TaskState.FAILED)
    stage.run()
    assert stage.task(given).status.state is TaskState.ASSIGNED


def test_SCH_18_a_task_that_is_not_wanted_any_more_is_not_assigned():
    stage = Scheduling()
    stopped = stage.put(replace(waiting_task("stopped", "a"), desired_state=TaskState.SHUTDOWN)).id
    removed = stage.put(replace(waiting_task("removed", "a"), desired_state=TaskState.REMOVE)).id
    (late,) = stage.waiting("a")
    stage.run()
    stage.becomes(late, TaskState.PENDING, TaskState.REMOVE)
    stage.put_nodes(1)
    stage.run()
    assert [stage.task(task_id).node_id for task_id in (stopped, removed, late)] == ["", "", ""]


def test_SCH_25_what_was_written_beside_it_in_the_same_transaction_counts():
    """The scheduler has no event yet of what an API call wrote just before."""
    stage = Scheduling(max_tasks=1)
    stage.put_nodes(2)
    ids = stage.waiting("a", 3)
    stage.run(most_steps=1_000)
    assert all(stage.node_of(task_id) for task_id in ids)
    waiting = stage.waiting("b", 2)
    events = stage.tx.events_since(stage.writes() - 2)
    for node_id in ("node0", "node1"):
        stage.put(make_node(node_id, state=NodeState.DOWN))
    stage.becomes(waiting[0], TaskState.PENDING, TaskState.REMOVE)
    stage.controller.step(stage.tx, events, stage.now)
    assert [stage.task(task_id).node_id for task_id in waiting] == ["", ""]


def test_SCH_19_a_task_that_is_stopped_while_it_waits_is_shut_down():
    stage = Scheduling()
    (task_id,) = stage.waiting("a")
    stage.run()
    stage.becomes(task_id, TaskState.PENDING, TaskState.SHUTDOWN)
    stage.run()
    assert stage.task(task_id).status.state is TaskState.SHUTDOWN


def test_a_suspect_node_gets_no_task_until_it_is_trusted_again():
    stage = Scheduling()
    stage.put_nodes(1)
    stage.suspects.add("node0")
    (task_id,) = stage.waiting("a")
    stage.run()
    assert stage.reason(task_id) == "no suitable node (1 node not available for new tasks)"
    assert stage.wake_up == stage.now + SECOND
    stage.now += SECOND
    stage.run()
    assert stage.wake_up == stage.now + SECOND
    stage.suspects.clear()
    stage.now += SECOND
    stage.run()
    assert stage.node_of(task_id) == "node0"
    assert stage.wake_up is None


def test_a_suspect_node_is_passed_over_for_another():
    stage = Scheduling()
    ids = stage.put_nodes(3)
    stage.suspects.add(ids[0])
    stage.waiting("a", 6)
    stage.run()
    assert stage.where("a") == {ids[1]: 3, ids[2]: 3}


def test_the_next_leader_goes_on_where_the_last_one_stopped():
    stage = Scheduling()
    stage.put_nodes(2, memory=1 << 30)
    stage.waiting("a", 3, memory=512 << 20)
    ids = stage.waiting("b", 2, memory=512 << 20)
    stage.run()
    waiting = [task_id for task_id in ids if not stage.task(task_id).node_id]
    successor = Scheduling()
    successor.tx = stage.tx
    written = successor.writes()
    successor.run()
    assert successor.writes() == written, "it says of each waiting task what was said before"
    successor.put(make_node("node9"))
    successor.run()
    assert [successor.node_of(task_id) for task_id in waiting] == ["node9"]


def test_a_removed_service_leaves_no_trace_in_the_index():
    stage = Scheduling()
    stage.put_nodes(2)
    stage.put(Service(id="a"))
    ids = stage.waiting("a", 4)
    stage.run()
    for task_id in ids:
        stage.remove(Task, task_id)
    stage.remove(Node, "node0")
    stage.run()
    stage.put(make_node("node0"))
    (task_id,) = stage.waiting("b")
    stage.waiting("a", 2)
    stage.run()
    assert stage.node_of(task_id)
    assert stage.where("a") == {"node0": 1, "node1": 1}
