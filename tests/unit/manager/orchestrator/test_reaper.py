"""What is forgotten, and when."""

from collections import Counter
from dataclasses import replace

import pytest

from core.clock import SECOND
from core.model import (
    Cluster,
    ContainerSpec,
    FailureAction,
    Node,
    NodeState,
    RestartPolicy,
    Service,
    ServiceMode,
    TaskState,
    TaskStatus,
    UpdateConfig,
    UpdateOrder,
)
from manager.store import EventKind
from tests.support.small_cluster import SmallCluster, spec


def fail_slot(cluster: SmallCluster, service_id: str, slot: int) -> None:
    cluster.obey()
    task = next(task for task in cluster.live(service_id) if task.slot == slot)
    cluster.report(task.id, TaskState.FAILED)


@pytest.mark.parametrize(("limit", "kept"), [(5, 5), (2, 2), (1, 1), (0, 1), (-1, 9)])
def test_RPR_01_a_slot_keeps_so_many_task_objects_the_live_one_included(limit: int, kept: int) -> None:
    cluster = SmallCluster(nodes=1, history=limit)
    service = cluster.create(spec(2, restart=RestartPolicy(delay=0)))
    for _ in range(8):
        fail_slot(cluster, service.id, 1)
    tasks = cluster.tasks(service.id)
    assert Counter(task.slot for task in tasks) == {1: kept, 2: 1}
    assert [task.id for task in tasks if task.slot == 1][-1] == next(
        task.id for task in cluster.live(service.id) if task.slot == 1
    )


def test_RPR_01_the_oldest_dead_go_first_and_what_has_not_ended_stays() -> None:
    cluster = SmallCluster(nodes=2, history=2)
    service = cluster.create(spec(1, restart=RestartPolicy(delay=0)))
    cluster.obey()
    (stuck,) = cluster.live(service.id)
    node = cluster.node(stuck.node_id)
    cluster.put_node(replace(node, status=replace(node.status, state=NodeState.DOWN)))
    cluster.settle()
    for _ in range(4):
        cluster.obey(stuck.node_id)
        (task,) = cluster.live(service.id)
        cluster.report(task.id, TaskState.FAILED)
    states = [task.status.state for task in cluster.tasks(service.id)]
    assert states[0] is TaskState.RUNNING, "on the node that is down it may still run"
    assert len(states) == 2
    assert cluster.task(stuck.id).desired_state is TaskState.SHUTDOWN


def test_RPR_01_a_new_task_takes_the_place_of_the_oldest_dead_one_though_another_cannot_go_yet() -> None:
    cluster = SmallCluster(nodes=2, history=2)
    service = cluster.create(spec(1, restart=RestartPolicy(delay=0)))
    fail_slot(cluster, service.id, 1)
    cluster.obey()
    node = cluster.node(cluster.running(service.id)[0].node_id)
    cluster.put_node(replace(node, status=replace(node.status, state=NodeState.DOWN)))
    cluster.settle()
    assert [task.status.state for task in cluster.tasks(service.id)] == [TaskState.RUNNING, TaskState.ASSIGNED]


def test_RPR_01_a_lower_limit_holds_for_what_is_there_already() -> None:
    cluster = SmallCluster(nodes=1)
    service = cluster.create(spec(1, restart=RestartPolicy(delay=0)))
    for _ in range(6):
        fail_slot(cluster, service.id, 1)
    held = cluster.store.cluster
    assert isinstance(held, Cluster)
    cluster.write(lambda tx: tx.update(replace(held, spec=replace(held.spec, task_history_limit=2))))
    cluster.settle()
    assert len(cluster.tasks(service.id)) == 2


def test_RPR_02_restarts_that_are_limited_keep_their_history() -> None:
    cluster = SmallCluster(nodes=1, history=1)
    service = cluster.create(spec(1, restart=RestartPolicy(delay=0, max_attempts=3)))
    for _ in range(4):
        fail_slot(cluster, service.id, 1)
    assert not cluster.live(service.id)
    assert len(cluster.tasks(service.id)) == 4


@pytest.mark.parametrize("limit", [0, 1, 2])
@pytest.mark.parametrize("mode", [ServiceMode.REPLICATED, ServiceMode.GLOBAL])
def test_RPR_02_a_short_history_shortens_no_restart_delay(limit: int, mode: ServiceMode) -> None:
    cluster = SmallCluster(nodes=1, history=limit)
    service = cluster.create(spec(1, mode=mode, restart=RestartPolicy(delay=30 * SECOND)))
    cluster.obey()
    for _ in range(3):
        (task,) = cluster.running(service.id)
        cluster.report(task.id, TaskState.FAILED)
        cluster.change_leader()
        cluster.obey()
        assert not cluster.running(service.id)
        cluster.wait(30)
        cluster.obey()
        assert len(cluster.tasks(service.id)) == max(1, limit), "and it is as short as ever once the delay is over"


@pytest.mark.parametrize(("limit", "attempts"), [(0, 0), (1, 0), (2, 0), (5, 1), (5, 3)])
def test_RPR_02_what_fails_while_the_old_task_stops_is_counted_and_delayed(limit: int, attempts: int) -> None:
    cluster = SmallCluster(nodes=1, history=limit)
    restart = RestartPolicy(delay=30 * SECOND, max_attempts=attempts)
    slow = ContainerSpec(image="busybox", stop_grace_period=600 * SECOND)
    service = cluster.create(spec(1, container=slow, restart=restart))
    cluster.obey()
    cluster.update(service.id, spec(1, container=replace(slow, image="wrong"), restart=restart))
    tried = set()
    for _ in range(6):
        for task in cluster.live(service.id):
            tried.add(task.id)
            cluster.report(task.id, TaskState.REJECTED)
    assert len(tried) == 2
    for _ in range(20):
        cluster.wait(10)
        for task in cluster.live(service.id):
            tried.add(task.id)
            cluster.report(task.id, TaskState.REJECTED)
    assert len(tried) == attempts + 1 if attempts else 5 <= len(tried) <= 8


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_RPR_02_what_fails_beside_the_old_task_is_tried_again_after_the_delay(limit: int) -> None:
    cluster = SmallCluster(nodes=1, history=limit)
    config = UpdateConfig(order=UpdateOrder.START_FIRST, failure_action=FailureAction.CONTINUE)
    restart = RestartPolicy(delay=30 * SECOND)
    service = cluster.create(replace(spec(1, restart=restart), update=config))
    cluster.obey()
    cluster.update(service.id, replace(spec(1, image="wrong", restart=restart), update=config))
    tried = set()
    for _ in range(6):
        for task in cluster.live(service.id):
            if task.spec.container.image == "wrong":
                tried.add(task.id)
                cluster.report(task.id, TaskState.REJECTED)
    assert len(tried) == 1


def test_RPR_05_what_may_be_forgotten_goes_at_once_and_many_in_one_entry() -> None:
    cluster = SmallCluster(nodes=2)
    service = cluster.create(spec(150))
    cluster.obey_all_at_once(service.id)
    entries: list[int] = []
    cluster.store.watch(lambda commit: entries.append(sum(event.kind is EventKind.DELETE for event in commit.events)))
    cluster.write(lambda tx: tx.delete(Service, service.id))
    cluster.settle()
    stopped = [replace(task, status=TaskStatus(cluster.now, TaskState.SHUTDOWN)) for task in cluster.tasks(service.id)]
    cluster.write(lambda tx: [tx.update(task) for task in stopped])
    cluster.settle()
    assert not cluster.tasks(service.id)
    assert [gone for gone in entries if gone] == [1, 150]


def test_RPR_03_a_task_that_was_assigned_vanishes_only_when_its_agent_says_so() -> None:
    cluster = SmallCluster(nodes=1)
    service = cluster.create(spec(2))
    cluster.obey()
    cluster.update(service.id, spec(1))
    (leaving,) = [task for task in cluster.tasks(service.id) if task.desired_state is TaskState.REMOVE]
    cluster.wait(3_600)
    assert cluster.task(leaving.id).status.state is TaskState.RUNNING
    cluster.report(leaving.id, TaskState.SHUTDOWN)
    assert cluster.store.task(leaving.id) is None


def test_RPR_03_a_task_that_was_never_assigned_vanishes_at_once() -> None:
    cluster = SmallCluster(nodes=0)
    service = cluster.create(spec(3))
    assert len(cluster.tasks(service.id)) == 3
    cluster.update(service.id, spec(1))
    assert len(cluster.tasks(service.id)) == 1
    cluster.remove_service(service.id)
    assert not cluster.tasks(service.id)


def test_RPR_03_what_ends_otherwise_than_by_being_stopped_vanishes_too() -> None:
    cluster = SmallCluster(nodes=1)
    service = cluster.create(spec(1))
    cluster.obey()
    (task,) = cluster.live(service.id)
    cluster.remove_service(service.id)
    cluster.report(task.id, TaskState.COMPLETE)
    assert not cluster.tasks(service.id)


def test_RPR_04_a_new_leader_sweeps_what_the_old_one_left() -> None:
    cluster = SmallCluster(nodes=1)
    service = cluster.create(spec(2, restart=RestartPolicy(delay=0)))
    fail_slot(cluster, service.id, 1)
    cluster.obey()
    cluster.write(lambda tx: tx.delete(Service, service.id))
    cluster.change_leader()
    cluster.settle()
    assert {task.desired_state for task in cluster.tasks(service.id)} == {TaskState.REMOVE}
    cluster.obey()
    assert not cluster.tasks(service.id)


@pytest.mark.parametrize("led_by", ["the same leader", "a new leader"])
def test_tasks_of_a_removed_node_are_orphaned_and_nobody_waits_for_them(led_by: str) -> None:
    cluster = SmallCluster(nodes=2)
    service = cluster.create(spec(2))
    cluster.obey()
    cluster.write(lambda tx: tx.delete(Node, "node-0"))
    if led_by == "a new leader":
        cluster.change_leader()
    cluster.settle()
    orphan = next(task for task in cluster.tasks(service.id) if task.node_id == "node-0")
    assert orphan.status.state is TaskState.ORPHANED
    assert orphan.desired_state is TaskState.SHUTDOWN
    assert {task.node_id for task in cluster.live(service.id)} == {"node-1"}
    cluster.remove_service(service.id)
    assert cluster.store.task(orphan.id) is None


def test_a_service_goes_while_a_node_is_down_once_that_node_is_removed() -> None:
    cluster = SmallCluster(nodes=2)
    service = cluster.create(spec(2))
    cluster.obey()
    node = cluster.node("node-0")
    cluster.put_node(replace(node, status=replace(node.status, state=NodeState.DOWN)))
    cluster.remove_service(service.id)
    cluster.obey("node-0")
    assert [task.node_id for task in cluster.tasks(service.id)] == ["node-0"]
    cluster.write(lambda tx: tx.delete(Node, "node-0"))
    cluster.settle()
    assert not cluster.tasks(service.id)
