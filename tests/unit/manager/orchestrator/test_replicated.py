"""Slots of replicated services."""

from collections import Counter
from dataclasses import replace

import pytest

from core.clock import SECOND
from core.model import Availability, Node, NodeState, RestartCondition, RestartPolicy, Task, TaskState
from tests.support.small_cluster import SmallCluster, spec

NO_DELAY = RestartPolicy(delay=0)


@pytest.fixture
def cluster() -> SmallCluster:
    return SmallCluster(nodes=3)


def slots(cluster: SmallCluster, service_id: str) -> list[int]:
    return sorted(task.slot for task in cluster.live(service_id))


def test_REP_01_services_that_were_there_before_the_leader_get_their_tasks(cluster: SmallCluster) -> None:
    service = cluster.create(replace(spec(3), replicas=0))
    cluster.lead()
    cluster.write(lambda tx: tx.update(replace(cluster.service(service.id), spec=replace(service.spec, replicas=3))))
    cluster.lead()
    cluster.settle()
    assert slots(cluster, service.id) == [1, 2, 3]


def test_REP_01_scaling_up_adds_slots_and_scaling_down_marks_tasks_for_removal(cluster: SmallCluster) -> None:
    service = cluster.create(spec(2))
    cluster.obey()
    cluster.update(service.id, spec(5))
    assert slots(cluster, service.id) == [1, 2, 3, 4, 5]
    cluster.obey()
    cluster.update(service.id, spec(2))
    removed = [task for task in cluster.tasks(service.id) if task.desired_state is TaskState.REMOVE]
    assert len(removed) == 3
    assert len(cluster.live(service.id)) == 2
    cluster.obey()
    assert len(cluster.tasks(service.id)) == 2


def test_REP_01_replicas_that_are_not_given_are_one(cluster: SmallCluster) -> None:
    assert slots(cluster, cluster.create(spec(None)).id) == [1]


def test_REP_02_a_task_deleted_by_hand_is_made_again(cluster: SmallCluster) -> None:
    service = cluster.create(spec(2))
    cluster.obey()
    lost = cluster.live(service.id)[0]
    cluster.write(lambda tx: tx.delete(Task, lost.id))
    cluster.settle()
    assert slots(cluster, service.id) == [1, 2]


def test_REP_02_deleting_the_service_removes_all_its_tasks(cluster: SmallCluster) -> None:
    service = cluster.create(spec(4))
    cluster.obey()
    cluster.remove_service(service.id)
    assert {task.desired_state for task in cluster.tasks(service.id)} == {TaskState.REMOVE}
    cluster.obey()
    assert not cluster.tasks(service.id)


def test_REP_03_unassigned_tasks_go_first_then_those_of_the_fullest_node(cluster: SmallCluster) -> None:
    service = cluster.create(spec(6))
    cluster.obey()
    # Two of the three nodes take nothing new: the third becomes the fullest.
    for name in ("node-0", "node-1"):
        node = cluster.node(name)
        cluster.put_node(replace(node, spec=replace(node.spec, availability=Availability.PAUSE)))
    cluster.update(service.id, spec(9))
    cluster.obey()
    node = cluster.node("node-2")
    cluster.put_node(replace(node, spec=replace(node.spec, availability=Availability.PAUSE)))
    cluster.update(service.id, spec(11))
    waiting = {task.id for task in cluster.live(service.id) if not task.node_id}
    assert len(waiting) == 2
    cluster.update(service.id, spec(6))
    assert waiting.isdisjoint(task.id for task in cluster.live(service.id))
    assert Counter(task.node_id for task in cluster.live(service.id)) == {"node-0": 2, "node-1": 2, "node-2": 2}


def test_REP_03_on_one_node_the_tasks_that_do_not_run_go_first() -> None:
    cluster = SmallCluster(nodes=1)
    service = cluster.create(spec(4))
    first, *others = cluster.live(service.id)
    for task in others:
        cluster.report(task.id, TaskState.RUNNING)
    cluster.report(first.id, TaskState.PREPARING)
    cluster.update(service.id, spec(3))
    assert {task.id for task in cluster.live(service.id)} == {task.id for task in others}


def test_REP_04_new_tasks_take_the_lowest_free_slots(cluster: SmallCluster) -> None:
    service = cluster.create(spec(5))
    cluster.obey()
    lost = [task for task in cluster.live(service.id) if task.slot in (2, 4)]
    cluster.write(lambda tx: [tx.delete(Task, task.id) for task in lost])
    cluster.update(service.id, spec(6))
    assert slots(cluster, service.id) == [1, 2, 3, 4, 5, 6]


def test_REP_04_a_restart_keeps_its_slot(cluster: SmallCluster) -> None:
    service = cluster.create(spec(3, restart=NO_DELAY))
    cluster.obey()
    failed = next(task for task in cluster.live(service.id) if task.slot == 2)
    cluster.report(failed.id, TaskState.FAILED, exit_code=1)
    assert slots(cluster, service.id) == [1, 2, 3]
    assert failed.id not in {task.id for task in cluster.live(service.id)}


def test_REP_04_slots_need_not_be_contiguous(cluster: SmallCluster) -> None:
    service = cluster.create(spec(6))
    cluster.obey()
    cluster.update(service.id, spec(3))
    kept = slots(cluster, service.id)
    cluster.obey()
    cluster.settle()
    assert slots(cluster, service.id) == kept


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.REJECTED])
def test_REP_05_a_new_leader_replaces_tasks_that_ended_meanwhile(cluster: SmallCluster, state: TaskState) -> None:
    service = cluster.create(spec(2, restart=NO_DELAY))
    cluster.obey()
    ended = cluster.live(service.id)[0]
    cluster.write(lambda tx: tx.update(replace(cluster.task(ended.id), status=replace(ended.status, state=state))))
    cluster.change_leader()
    cluster.settle()
    assert slots(cluster, service.id) == [1, 2]
    assert cluster.task(ended.id).desired_state is TaskState.SHUTDOWN


def test_REP_05_a_new_leader_moves_tasks_off_nodes_that_are_down_drained_or_gone() -> None:
    cluster = SmallCluster(nodes=4)
    service = cluster.create(spec(8))
    cluster.obey()
    down, drained = cluster.node("node-0"), cluster.node("node-1")

    def happen(tx) -> None:  # type: ignore[no-untyped-def]
        tx.update(replace(down, status=replace(down.status, state=NodeState.DOWN)))
        tx.update(replace(drained, spec=replace(drained.spec, availability=Availability.DRAIN)))
        tx.delete(Node, "node-2")

    cluster.write(happen)
    cluster.change_leader()
    cluster.settle()
    assert slots(cluster, service.id) == list(range(1, 9))
    assert {task.node_id for task in cluster.live(service.id)} == {"node-3"}


def test_REP_05_a_node_that_is_unknown_keeps_its_tasks(cluster: SmallCluster) -> None:
    service = cluster.create(spec(6))
    cluster.obey()
    before = {task.id for task in cluster.live(service.id)}
    for node in list(cluster.store.nodes()):
        cluster.put_node(replace(node, status=replace(node.status, state=NodeState.UNKNOWN)))
    cluster.change_leader()
    cluster.wait(60)
    assert {task.id for task in cluster.live(service.id)} == before


def test_REP_06_a_new_leader_waits_only_for_what_is_left_of_the_delay(cluster: SmallCluster) -> None:
    service = cluster.create(spec(1, restart=RestartPolicy(delay=10 * SECOND)))
    cluster.obey()
    cluster.report(cluster.live(service.id)[0].id, TaskState.FAILED)
    cluster.wait(6)
    cluster.change_leader()
    cluster.wait(3.9)
    assert cluster.live(service.id)[0].desired_state is TaskState.READY
    cluster.wait(0.1)
    assert cluster.live(service.id)[0].desired_state is TaskState.RUNNING


@pytest.mark.parametrize("what", ["drain", "down", "deleted"])
def test_REP_07_a_node_that_leaves_has_its_tasks_replaced_elsewhere(cluster: SmallCluster, what: str) -> None:
    service = cluster.create(spec(6))
    cluster.obey()
    node = cluster.node("node-0")
    moved = {task.slot for task in cluster.live(service.id) if task.node_id == node.id}
    if what == "drain":
        cluster.put_node(replace(node, spec=replace(node.spec, availability=Availability.DRAIN)))
    elif what == "down":
        cluster.put_node(replace(node, status=replace(node.status, state=NodeState.DOWN)))
    else:
        cluster.write(lambda tx: tx.delete(Node, node.id))
    cluster.settle()
    assert len(moved) == 2
    assert slots(cluster, service.id) == [1, 2, 3, 4, 5, 6]
    assert Counter(task.node_id for task in cluster.live(service.id)) == {"node-1": 3, "node-2": 3}
    left = [task for task in cluster.tasks(service.id) if task.node_id == node.id]
    assert {task.desired_state for task in left} == {TaskState.SHUTDOWN}


def test_REP_07_pausing_leaves_running_tasks(cluster: SmallCluster) -> None:
    service = cluster.create(spec(6))
    cluster.obey()
    before = {task.id for task in cluster.live(service.id)}
    node = cluster.node("node-0")
    cluster.put_node(replace(node, spec=replace(node.spec, availability=Availability.PAUSE)))
    cluster.wait(60)
    assert {task.id for task in cluster.live(service.id)} == before


def test_REP_07_a_task_that_is_never_to_be_restarted_is_not_moved(cluster: SmallCluster) -> None:
    service = cluster.create(spec(3, restart=RestartPolicy(RestartCondition.NONE)))
    cluster.obey()
    node = cluster.node("node-0")
    cluster.put_node(replace(node, spec=replace(node.spec, availability=Availability.DRAIN)))
    cluster.settle()
    cluster.change_leader()
    cluster.settle()
    assert len(cluster.live(service.id)) == 2


def test_a_large_service_is_made_in_many_small_turns() -> None:
    cluster = SmallCluster(nodes=50)
    service = cluster.create(spec(3_000))
    assert slots(cluster, service.id) == list(range(1, 3_001))
    cluster.obey_all_at_once(service.id)
    cluster.remove_service(service.id)
    assert {task.desired_state for task in cluster.tasks(service.id)} == {TaskState.REMOVE}


def test_a_slot_that_is_filled_again_waits_for_its_last_task_to_stop(cluster: SmallCluster) -> None:
    service = cluster.create(spec(1))
    cluster.obey()
    cluster.update(service.id, replace(service.spec, replicas=0))
    cluster.update(service.id, service.spec)
    old, new = cluster.tasks(service.id)
    assert (old.status.state, old.desired_state) == (TaskState.RUNNING, TaskState.REMOVE)
    assert new.desired_state is TaskState.READY
    cluster.report(old.id, TaskState.SHUTDOWN)
    assert cluster.task(new.id).desired_state is TaskState.RUNNING
