"""When tasks that have ended are replaced, and when the replacements run."""

from dataclasses import replace

import pytest

from core.clock import SECOND
from core.model import (
    Availability,
    ContainerSpec,
    NodeState,
    RestartCondition,
    RestartPolicy,
    ServiceMode,
    Task,
    TaskState,
)
from tests.support.small_cluster import SmallCluster, spec


def fail(cluster: SmallCluster, service_id: str, state: TaskState = TaskState.FAILED) -> Task:
    """The service's one live task ends."""
    (task,) = cluster.live(service_id)
    cluster.report(task.id, state, exit_code=0 if state is TaskState.COMPLETE else 1)
    return task


def replaced(cluster: SmallCluster, service_id: str) -> bool:
    cluster.wait(60)
    cluster.obey()
    return bool(cluster.live(service_id))


@pytest.fixture
def cluster() -> SmallCluster:
    return SmallCluster(nodes=2)


@pytest.mark.parametrize(
    ("condition", "state", "restarts"),
    [
        (RestartCondition.ANY, TaskState.FAILED, True),
        (RestartCondition.ANY, TaskState.COMPLETE, True),
        (RestartCondition.ANY, TaskState.REJECTED, True),
        (RestartCondition.ON_FAILURE, TaskState.FAILED, True),
        (RestartCondition.ON_FAILURE, TaskState.COMPLETE, False),
        (RestartCondition.NONE, TaskState.FAILED, False),
        (RestartCondition.NONE, TaskState.COMPLETE, False),
    ],
)
@pytest.mark.parametrize("mode", [ServiceMode.REPLICATED, ServiceMode.GLOBAL])
def test_RST_01_the_condition_decides(
    condition: RestartCondition, state: TaskState, restarts: bool, mode: ServiceMode
) -> None:
    cluster = SmallCluster(nodes=1)
    service = cluster.create(spec(1, mode=mode, restart=RestartPolicy(condition)))
    cluster.obey()
    fail(cluster, service.id, state)
    assert replaced(cluster, service.id) is restarts


def test_RST_02_what_the_policy_left_dead_comes_back_only_with_another_task_spec(cluster: SmallCluster) -> None:
    service = cluster.create(spec(1, restart=RestartPolicy(RestartCondition.NONE)))
    cluster.obey()
    fail(cluster, service.id)
    cluster.update(service.id, replace(service.spec, labels={"a": "b"}))
    assert not cluster.live(service.id)
    cluster.change_leader()
    cluster.settle()
    assert not cluster.live(service.id)
    cluster.update(service.id, replace(service.spec, task=replace(service.spec.task, force_update=1)))
    assert len(cluster.live(service.id)) == 1


def test_RST_03_the_replacement_is_made_at_once_and_runs_after_the_delay(cluster: SmallCluster) -> None:
    service = cluster.create(spec(1))
    cluster.obey()
    fail(cluster, service.id)
    (task,) = cluster.live(service.id)
    assert task.desired_state is TaskState.READY
    assert task.node_id, "its image is pulled meanwhile"
    cluster.wait(4.999)
    assert cluster.task(task.id).desired_state is TaskState.READY
    cluster.wait(0.001)
    assert cluster.task(task.id).desired_state is TaskState.RUNNING


def test_RST_03_without_a_delay_it_runs_at_once(cluster: SmallCluster) -> None:
    service = cluster.create(spec(1, restart=RestartPolicy(delay=0)))
    cluster.obey()
    fail(cluster, service.id)
    assert cluster.live(service.id)[0].desired_state is TaskState.RUNNING


@pytest.mark.parametrize("mode", [ServiceMode.REPLICATED, ServiceMode.GLOBAL])
def test_RST_04_attempts_count_per_slot_and_spec_version(mode: ServiceMode) -> None:
    cluster = SmallCluster(nodes=1)
    policy = RestartPolicy(delay=0, max_attempts=3)
    service = cluster.create(spec(1, mode=mode, restart=policy))
    for _ in range(4):
        cluster.obey()
        fail(cluster, service.id)
    assert not cluster.live(service.id)
    cluster.update(service.id, spec(1, mode=mode, image="other", restart=policy))
    for _ in range(4):
        cluster.obey()
        fail(cluster, service.id)
    assert not cluster.live(service.id)


def test_RST_04_each_slot_has_its_own_attempts(cluster: SmallCluster) -> None:
    service = cluster.create(spec(2, restart=RestartPolicy(delay=0, max_attempts=1)))
    for _ in range(2):
        cluster.obey()
        first = next(task for task in cluster.live(service.id) if task.slot == 1)
        cluster.report(first.id, TaskState.FAILED)
    assert [task.slot for task in cluster.live(service.id)] == [2]
    second = cluster.live(service.id)[0]
    cluster.report(second.id, TaskState.FAILED)
    assert [task.slot for task in cluster.live(service.id)] == [2]


def test_RST_04_a_task_that_was_moved_uses_up_no_attempt(cluster: SmallCluster) -> None:
    service = cluster.create(spec(1, restart=RestartPolicy(delay=0, max_attempts=1)))
    for name in ("node-0", "node-1", "node-0"):
        cluster.obey()
        for node in list(cluster.store.nodes()):
            availability = Availability.DRAIN if node.id == name else Availability.ACTIVE
            cluster.put_node(replace(node, spec=replace(node.spec, availability=availability)))
        cluster.settle()
    cluster.wait(60)
    cluster.obey()
    fail(cluster, service.id)
    assert replaced(cluster, service.id)


def test_RST_05_only_attempts_within_the_window_count(cluster: SmallCluster) -> None:
    service = cluster.create(spec(1, restart=RestartPolicy(delay=0, max_attempts=1, window=30 * SECOND)))
    for _ in range(3):
        cluster.obey()
        fail(cluster, service.id)
        assert cluster.live(service.id)
        cluster.wait(31)
    cluster.obey()
    fail(cluster, service.id)
    cluster.obey()
    fail(cluster, service.id)
    assert not cluster.live(service.id)


def test_RST_06_a_new_leader_counts_what_the_old_one_did(cluster: SmallCluster) -> None:
    service = cluster.create(spec(1, restart=RestartPolicy(delay=0, max_attempts=2)))
    for _ in range(3):
        cluster.obey()
        fail(cluster, service.id)
        cluster.change_leader()
        cluster.settle()
    assert not cluster.live(service.id)


def test_RST_07_an_image_that_cannot_be_pulled_is_not_tried_as_fast_as_it_fails(cluster: SmallCluster) -> None:
    service = cluster.create(spec(1))
    for _ in range(60):
        for task in cluster.live(service.id):
            cluster.report(task.id, TaskState.REJECTED)
        cluster.wait(1)
    assert len({task.id for task in cluster.tasks(service.id)}) <= 5
    made = cluster.new_id()
    assert int(made) < 40, "about one in five seconds"


@pytest.mark.parametrize("mode", [ServiceMode.REPLICATED, ServiceMode.GLOBAL])
def test_RST_07_a_new_spec_does_not_wait_for_the_delay_of_what_it_replaces(mode: ServiceMode) -> None:
    cluster = SmallCluster(nodes=1)
    hourly = RestartPolicy(delay=3_600 * SECOND)
    service = cluster.create(spec(1, mode=mode, image="wrong", restart=hourly))
    for _ in range(2):
        fail(cluster, service.id, TaskState.REJECTED)
        cluster.settle()
    assert not cluster.live(service.id)
    cluster.update(service.id, spec(1, mode=mode, restart=hourly))
    cluster.obey()
    assert [task.spec.container.image for task in cluster.running(service.id)] == ["busybox"]


@pytest.mark.parametrize("mode", [ServiceMode.REPLICATED, ServiceMode.GLOBAL])
@pytest.mark.parametrize("then", [RestartPolicy(max_attempts=1), RestartPolicy(condition=RestartCondition.NONE)])
def test_RST_04_attempts_of_a_former_spec_keep_no_slot_empty(mode: ServiceMode, then: RestartPolicy) -> None:
    cluster = SmallCluster(nodes=1)
    service = cluster.create(spec(1, mode=mode, image="wrong", restart=RestartPolicy(max_attempts=1)))
    for _ in range(2):
        fail(cluster, service.id, TaskState.REJECTED)
        cluster.settle()
    cluster.update(service.id, spec(1, mode=mode, restart=then))
    cluster.obey()
    assert [task.spec.container.image for task in cluster.running(service.id)] == ["busybox"]


@pytest.mark.parametrize("mode", [ServiceMode.REPLICATED, ServiceMode.GLOBAL])
def test_RST_09_what_fails_beside_the_old_task_is_replaced_at_once_and_waits_for_it_no_longer_than_it_runs(
    mode: ServiceMode,
) -> None:
    cluster = SmallCluster(nodes=1)
    slow = ContainerSpec(image="busybox", stop_grace_period=600 * SECOND)
    service = cluster.create(spec(1, mode=mode, container=slow))
    cluster.obey()
    (old,) = cluster.live(service.id)
    cluster.update(service.id, spec(1, mode=mode, container=replace(slow, image="wrong")))
    fail(cluster, service.id, TaskState.REJECTED)
    cluster.settle()
    (second,) = cluster.live(service.id)
    assert second.desired_state is TaskState.READY
    cluster.wait(60)
    assert cluster.task(second.id).desired_state is TaskState.READY, "the old one may still run"
    cluster.report(old.id, TaskState.SHUTDOWN)
    assert cluster.task(second.id).desired_state is TaskState.RUNNING


def test_RST_08_tasks_that_leave_a_drained_node_are_not_delayed_but_wait_for_the_old_to_stop(
    cluster: SmallCluster,
) -> None:
    service = cluster.create(spec(1, restart=RestartPolicy(delay=3_600 * SECOND)))
    cluster.obey()
    (old,) = cluster.live(service.id)
    node = cluster.node(old.node_id)
    cluster.put_node(replace(node, spec=replace(node.spec, availability=Availability.DRAIN)))
    cluster.settle()
    (new,) = cluster.live(service.id)
    assert new.desired_state is TaskState.READY
    cluster.report(old.id, TaskState.SHUTDOWN)
    assert cluster.task(new.id).desired_state is TaskState.RUNNING


def test_RST_08_nobody_waits_for_a_task_whose_node_is_down(cluster: SmallCluster) -> None:
    service = cluster.create(spec(1, restart=RestartPolicy(delay=3_600 * SECOND)))
    cluster.obey()
    (old,) = cluster.live(service.id)
    node = cluster.node(old.node_id)
    cluster.put_node(replace(node, status=replace(node.status, state=NodeState.DOWN)))
    cluster.settle()
    (new,) = cluster.live(service.id)
    assert new.desired_state is TaskState.RUNNING
    assert new.node_id not in ("", old.node_id)


@pytest.mark.parametrize("end", ["stopped", "node down", "node removed"])
def test_RST_09_a_replacement_starts_when_the_old_task_is_out_of_the_way(cluster: SmallCluster, end: str) -> None:
    service = cluster.create(spec(1))
    cluster.obey()
    (old,) = cluster.live(service.id)
    cluster.update(service.id, spec(1, image="other"))
    (new,) = cluster.live(service.id)
    assert new.desired_state is TaskState.READY
    node = cluster.node(old.node_id)
    if end == "stopped":
        cluster.report(old.id, TaskState.SHUTDOWN)
    elif end == "node down":
        cluster.put_node(replace(node, status=replace(node.status, state=NodeState.DOWN)))
    else:
        cluster.write(lambda tx: tx.delete(type(node), node.id))
    cluster.settle()
    assert cluster.live(service.id)[0].desired_state is TaskState.RUNNING


@pytest.mark.parametrize(("grace", "patience"), [(None, 20), (90 * SECOND, 100)])
def test_RST_09_the_time_out_is_the_stop_grace_and_a_margin(
    cluster: SmallCluster, grace: int | None, patience: int
) -> None:
    container = ContainerSpec(image="busybox", stop_grace_period=grace)
    service = cluster.create(spec(1, container=container))
    cluster.obey()
    cluster.update(service.id, spec(1, container=replace(container, image="other")))
    (new,) = cluster.live(service.id)
    cluster.wait(patience - 1)
    assert cluster.task(new.id).desired_state is TaskState.READY
    cluster.wait(1)
    assert cluster.task(new.id).desired_state is TaskState.RUNNING


@pytest.mark.parametrize("new_leader", [False, True])
def test_RST_09_a_node_cannot_draw_the_time_out_by_talking(cluster: SmallCluster, new_leader: bool) -> None:
    service = cluster.create(spec(1))
    cluster.obey()
    (old,) = cluster.live(service.id)
    cluster.update(service.id, spec(1, image="other"))
    (new,) = cluster.live(service.id)
    for wait in (5, 5, 5, 4):
        cluster.wait(wait)
        cluster.report_status(old.node_id, old.id, replace(old.status, timestamp=cluster.now, message="still here"))
    if new_leader:
        cluster.change_leader()
    cluster.settle()
    assert cluster.task(new.id).desired_state is TaskState.READY
    cluster.wait(1)
    assert cluster.task(new.id).desired_state is TaskState.RUNNING
