"""Nodes on which a service's tasks fail one after another."""

from dataclasses import replace

import pytest

from core.clock import SECOND
from core.model import Availability, NodeSpec, Service, Task, TaskState
from manager.scheduler.failures import LATELY, MANY
from tests.support.scheduling import Scheduling, waiting_task
from tests.support.stage import make_node


def cluster() -> Scheduling:
    """`fuller` has so many other tasks that only a fault of `emptier` makes it the better one."""
    stage = Scheduling()
    for node_id in ("emptier", "fuller"):
        stage.put(make_node(node_id, spec=NodeSpec(labels={"zone": node_id})))
    for number in range(9):
        task = waiting_task(f"other{number}", "other", node_id="fuller", slot=number + 1)
        stage.put(replace(task, status=replace(task.status, state=TaskState.RUNNING)))
    return stage


def fail(stage: Scheduling, times: int, state: TaskState = TaskState.FAILED, **kind: object) -> None:
    for _ in range(times):
        task = waiting_task(f"failed{stage.writes()}", "a", node_id="emptier", **{"slot": 1, **kind})
        stage.put(replace(task, status=replace(task.status, state=TaskState.RUNNING)))
        stage.run()
        stage.becomes(task.id, state)
        stage.run()


def next_node(stage: Scheduling, **wishes: object) -> str:
    """Where the service's next task goes; it ends well at once."""
    (task_id,) = stage.waiting("a", slot=1, **wishes)
    stage.run()
    node_id = stage.node_of(task_id)
    stage.becomes(task_id, TaskState.COMPLETE)
    return node_id


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.REJECTED])
def test_SCH_09_after_five_failures_a_node_comes_last(state: TaskState):
    stage = cluster()
    fail(stage, MANY - 1, state)
    assert next_node(stage) == "emptier"
    fail(stage, 1, state)
    assert next_node(stage) == "fuller"


def test_SCH_09_old_failures_are_forgotten():
    stage = cluster()
    fail(stage, MANY - 1)
    stage.now += LATELY - SECOND
    fail(stage, 1)
    assert next_node(stage) == "fuller"
    stage.now += 2 * SECOND
    assert next_node(stage) == "emptier"


def test_SCH_09_tasks_that_end_otherwise_are_no_failures():
    stage = cluster()
    fail(stage, MANY, TaskState.COMPLETE)
    fail(stage, MANY, TaskState.SHUTDOWN)
    assert next_node(stage) == "emptier"


def test_SCH_09_a_faulty_node_is_better_than_none():
    stage = cluster()
    fail(stage, MANY)
    stage.put(make_node("fuller", spec=NodeSpec(availability=Availability.PAUSE)))
    assert next_node(stage) == "emptier"


def test_SCH_09_a_faulty_node_is_the_last_of_its_zone_only():
    stage = cluster()
    stage.put(make_node("neighbour", spec=NodeSpec(labels={"zone": "emptier"})))
    fail(stage, MANY)
    stage.waiting("a", 4, slot=1, preferences=["node.labels.zone"])
    stage.run()
    assert stage.where("a") == {"neighbour": 2, "fuller": 2}


def test_SCH_09_other_services_do_not_care():
    stage = cluster()
    fail(stage, MANY)
    (task_id,) = stage.waiting("b", slot=1)
    stage.run()
    assert stage.node_of(task_id) == "emptier"


def test_SCH_09_the_next_leader_knows_of_the_failures_that_are_kept():
    stage = cluster()
    fail(stage, MANY)
    successor = Scheduling()
    for node in stage.tx.nodes():
        successor.put(node)
    for task in stage.tx.tasks():
        successor.put(replace(task, meta=replace(task.meta, updated_at=stage.now)))
    assert next_node(successor) == "fuller"


def test_SCH_10_another_spec_version_has_no_failures_yet():
    stage = cluster()
    fail(stage, MANY)
    assert next_node(stage, version=2) == "emptier"
    fail(stage, MANY, version=2)
    assert next_node(stage, version=2) == "fuller"
    fail(stage, 1, version=1)
    assert next_node(stage, version=2) == "fuller"


def test_SCH_11_tasks_of_a_given_node_neither_count_nor_move():
    stage = cluster()
    fail(stage, MANY, slot=0)
    assert next_node(stage) == "emptier"
    fail(stage, MANY)
    (task_id,) = stage.waiting("a", node_id="emptier")
    stage.run()
    assert stage.node_of(task_id) == "emptier"
    assert stage.task(task_id).status.state is TaskState.ASSIGNED


def test_the_failures_of_a_removed_service_are_forgotten():
    stage = cluster()
    stage.put(Service(id="a"))
    fail(stage, MANY)
    for task in [task for task in stage.tx.tasks() if task.service_id == "a"]:
        stage.remove(Task, task.id)
    stage.remove(Service, "a")
    stage.run()
    assert next_node(stage) == "emptier"
