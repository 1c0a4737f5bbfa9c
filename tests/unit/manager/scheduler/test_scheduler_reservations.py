"""What tasks take of a node: memory, processors, host ports; who waits for them, and when they are free again."""

from dataclasses import replace

from core.model import NodeState, Task, TaskState
from tests.support.scheduling import Scheduling, waiting_task
from tests.support.stage import make_node


def test_SCH_12_reservations_gate_placement_and_the_reason_counts_the_most_frequent_first():
    stage = Scheduling()
    for number in range(3):
        stage.put(make_node(f"down{number}", state=NodeState.DOWN))
    stage.put(make_node("small", memory=1 << 30))
    stage.put(make_node("thin", cpus=1))
    (memory,) = stage.waiting("memory", memory=2 << 30, cpus=2)
    stage.run()
    assert stage.reason(memory) == (
        "no suitable node (3 nodes not available for new tasks; insufficient resources on 2 nodes)"
    )
    stage.put(make_node("big", memory=2 << 30, cpus=2))
    stage.run()
    assert stage.node_of(memory) == "big"


def test_SCH_12_a_reservation_is_never_exceeded():
    stage = Scheduling()
    stage.put_nodes(3, memory=1 << 30)
    ids = stage.waiting("a", 8, memory=400 << 20)
    stage.run()
    assert set(stage.where("a").values()) == {2}
    reasons = [stage.reason(task_id) for task_id in ids if not stage.task(task_id).node_id]
    assert reasons == ["no suitable node (insufficient resources on 3 nodes)"] * 2


def test_SCH_13_room_goes_before_spread():
    stage = Scheduling()
    stage.put(make_node("one", memory=1 << 30))
    for number in range(2):
        stage.put(make_node(f"many{number}", memory=8 << 30))
        stage.waiting(f"load{number}", 1, constraints=[f"node.id==many{number}"])
    stage.waiting("a", 7, memory=1 << 30)
    stage.run()
    assert stage.where("a") == {"one": 1, "many0": 3, "many1": 3}


def test_SCH_14_a_task_past_running_frees_its_reservation_for_one_that_waits():
    stage = Scheduling()
    stage.put(make_node("node", memory=1 << 30))
    (first,) = stage.waiting("a", memory=1 << 30)
    stage.run()
    (second,) = stage.waiting("b", memory=1 << 30)
    stage.run()
    assert stage.reason(second) == "no suitable node (insufficient resources on 1 node)"
    # To be stopped is not to have stopped.
    stage.becomes(first, TaskState.RUNNING, TaskState.SHUTDOWN)
    stage.run()
    assert stage.task(second).node_id == ""
    stage.becomes(first, TaskState.SHUTDOWN)
    stage.run()
    assert stage.node_of(second) == "node"


def test_SCH_14_a_task_that_is_deleted_frees_its_reservation():
    stage = Scheduling()
    stage.put(make_node("node", memory=1 << 30))
    (first,) = stage.waiting("a", memory=1 << 30)
    stage.run()
    (second,) = stage.waiting("b", memory=1 << 30)
    stage.run()
    stage.remove(Task, first)
    stage.run()
    assert stage.node_of(second) == "node"


def test_SCH_14_dead_tasks_at_the_start_take_nothing():
    stage = Scheduling()
    stage.put(make_node("node", memory=1 << 30))
    for state in (TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED, TaskState.ORPHANED):
        task = waiting_task(f"dead{state.name}", "dead", node_id="node", memory=1 << 30, host_ports=[80])
        stage.put(replace(task, status=replace(task.status, state=state)))
    (task_id,) = stage.waiting("a", memory=1 << 30, host_ports=[80])
    stage.run()
    assert stage.node_of(task_id) == "node"


def test_SCH_14_a_task_that_is_being_stopped_is_no_load():
    stage = Scheduling()
    stage.put_nodes(2)
    ids = stage.waiting("a", 2)
    stage.run()
    leaving, staying = ids
    stage.becomes(leaving, TaskState.RUNNING, TaskState.SHUTDOWN)
    (replacement,) = stage.waiting("a")
    stage.run()
    assert stage.node_of(replacement) == stage.node_of(leaving) != stage.node_of(staying)


def test_SCH_21_a_host_port_has_one_task_a_node():
    stage = Scheduling()
    stage.put_nodes(2)
    ids = stage.waiting("a", 3, host_ports=[80])
    (other,) = stage.waiting("b", host_ports=[81])
    stage.run()
    assert set(stage.where("a").values()) == {1}
    (third,) = [task_id for task_id in ids if not stage.task(task_id).node_id]
    assert stage.reason(third) == "no suitable node (host-mode port already in use on 2 nodes)"
    assert stage.node_of(other)
    first = next(task_id for task_id in ids if task_id != third)
    stage.becomes(first, TaskState.FAILED)
    stage.run()
    assert stage.node_of(third) == stage.task(first).node_id


def test_SCH_21_tasks_of_one_version_hold_the_ports_that_each_has_been_given():
    """A task that was made just before its service published a port is given that port."""
    stage = Scheduling()
    stage.put_nodes(1)
    stage.waiting("a")
    stage.run()
    (late,) = stage.waiting("a", host_ports=[80])
    stage.run()
    assert stage.node_of(late)
    (other,) = stage.waiting("b", host_ports=[80])
    stage.run()
    assert stage.reason(other) == "no suitable node (host-mode port already in use on 1 node)"


def test_SCH_23_the_same_task_seen_twice_is_claimed_once():
    stage = Scheduling()
    stage.put(make_node("node", memory=1 << 30))
    (first,) = stage.waiting("a", memory=512 << 20)
    stage.run()
    for state in (TaskState.ACCEPTED, TaskState.STARTING, TaskState.RUNNING):
        stage.becomes(first, state)
        stage.run()
    (second,) = stage.waiting("b", memory=512 << 20)
    stage.run()
    assert stage.node_of(second) == "node"
    stage.becomes(first, TaskState.FAILED)
    stage.becomes(first, TaskState.FAILED, TaskState.REMOVE)
    stage.run()
    ids = stage.waiting("c", 2, memory=512 << 20)
    stage.run()
    assert stage.where("c") == {"node": 1}
    assert stage.reason(ids[1]) == "no suitable node (insufficient resources on 1 node)"
