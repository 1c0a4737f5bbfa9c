"""Many waiting tasks: work in turns, and room that is given fairly."""

from collections import Counter

import pytest

from core.model import NodeState, Task, TaskState
from tests.support.scheduling import Scheduling
from tests.support.stage import make_node


def test_work_is_done_in_steps_and_none_is_left():
    stage = Scheduling(max_tasks=10)
    stage.put_nodes(4)
    ids = stage.waiting("a", 95)
    blocked = stage.waiting("blocked", 25, constraints=["node.id==nobody"])
    stage.run()
    assert stage.steps >= 12
    assert Counter(stage.node_of(task_id) for task_id in ids).most_common(1)[0][1] == 24
    assert {stage.reason(task_id) for task_id in blocked} == {
        "no suitable node (scheduling constraints not satisfied on 4 nodes)"
    }


def test_more_kinds_of_requirements_than_are_indexed_at_a_time():
    stage = Scheduling()
    ids = [task_id for number in range(80) for task_id in stage.waiting(f"s{number}", memory=(number + 5) << 20)]
    stage.run()
    stage.put_nodes(2, memory=60 << 20)
    stage.run()
    placed = [task_id for task_id in ids if stage.task(task_id).node_id]
    claimed = dict.fromkeys(("node0", "node1"), 0)
    for task_id in placed:
        claimed[stage.node_of(task_id)] += stage.task(task_id).spec.resources.reservations.memory_bytes
    assert placed
    assert all(total <= 60 << 20 for total in claimed.values())
    stage.put_nodes(80, memory=1 << 30)
    stage.run()
    assert all(stage.node_of(task_id) for task_id in ids)


def test_a_large_service_without_a_node_holds_up_nobody():
    stage = Scheduling(max_tasks=10)
    stage.put_nodes(2)
    stage.waiting("huge", 500, constraints=["node.id==nobody"])
    (task_id,) = stage.waiting("small")
    stage.run(most_steps=1_000)
    assert stage.node_of(task_id)
    begun = stage.steps
    (task_id,) = stage.waiting("late")
    stage.put(make_node("node9"))
    with pytest.raises(AssertionError, match="no rest"):
        stage.run(most_steps=3)
    assert stage.steps == begun + 3
    assert stage.node_of(task_id)


def test_a_large_service_that_finds_nodes_leaves_some_of_the_turn_to_others():
    stage = Scheduling(max_tasks=10)
    stage.put_nodes(2)
    stage.waiting("huge", 500)
    ids = [task_id for number in range(3) for task_id in stage.waiting(f"small{number}")]
    with pytest.raises(AssertionError, match="no rest"):
        stage.run(most_steps=4)
    assert all(stage.task(task_id).node_id for task_id in ids)


def test_many_waiting_tasks_are_told_another_reason_only_now_and_then():
    stage = Scheduling()
    stage.put_nodes(1)
    stage.waiting("huge", 300, constraints=["node.id==nobody"])
    stage.run()
    written = stage.writes()
    for number in range(5):
        stage.put(make_node(f"more{number}"))
        stage.run()
    assert stage.writes() == written + 5 + 300, "once at once, then no more for a while"
    assert stage.wake_up is not None
    stage.now = stage.wake_up
    stage.run()
    assert stage.writes() == written + 5 + 600
    reasons = {task.status.err for task in stage.tx.tasks_of_service("huge")}
    assert reasons == {"no suitable node (scheduling constraints not satisfied on 6 nodes)"}
    assert stage.wake_up is None


def test_many_waiting_tasks_are_not_looked_at_one_by_one_at_every_change():
    stage = Scheduling()
    stage.put_nodes(1, memory=1 << 30)
    stage.waiting("huge", 400, memory=1 << 30)
    stage.run()
    (running,) = [task for task in stage.tx.tasks() if task.node_id]
    looks: list[str] = []
    look = stage.tx.task
    stage.tx.task = lambda task_id: looks.append(task_id) or look(task_id)
    stage.becomes(running.id, TaskState.FAILED)
    stage.run()
    assert sum(bool(task.node_id) for task in stage.tx.tasks()) == 2
    assert len(looks) < 10


def test_many_waiting_services_do_not_all_try_at_every_change():
    stage = Scheduling()
    stage.put_nodes(1, memory=1 << 30)
    waiting = [task_id for number in range(100) for task_id in stage.waiting(f"s{number:03}", memory=1 << 30)]
    stage.run()
    (running,) = [task_id for task_id in waiting if stage.task(task_id).node_id]
    looks: list[str] = []
    look = stage.tx.task
    stage.tx.task = lambda task_id: looks.append(task_id) or look(task_id)
    stage.becomes(running, TaskState.FAILED)
    stage.run()
    assert len(looks) < 10
    assert sum(stage.task(task_id).node_id != "" for task_id in waiting) == 2


def test_waiting_services_get_room_in_turn_and_all_of_it():
    stage = Scheduling()
    stage.put_nodes(1, memory=1 << 30)
    ids = [task_id for number in range(10) for task_id in stage.waiting(f"s{number}", memory=1 << 30)]
    stage.run()
    for number in range(4):
        stage.put(make_node(f"more{number}", memory=2 << 30))
    stage.run()
    assert sum(bool(stage.task(task_id).node_id) for task_id in ids) == 9
    (last,) = [task_id for task_id in ids if not stage.task(task_id).node_id]
    assert stage.reason(last) == "no suitable node (insufficient resources on 5 nodes)"


def test_another_takes_the_room_when_the_one_whose_turn_it_is_has_gone():
    stage = Scheduling()
    stage.put_nodes(1, state=NodeState.DOWN)
    first, second = (task_id for name in "ab" for task_id in stage.waiting(name))
    stage.run()
    stage.put(make_node("node0"))
    stage.remove(Task, first)
    stage.run()
    assert stage.node_of(second) == "node0"
