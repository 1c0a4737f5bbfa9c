"""Jobs: tasks that run until they are done, in so many slots or on every node."""

from collections import Counter
from dataclasses import replace

import pytest

from core.model import (
    Availability,
    JobStatus,
    NodeSpec,
    NodeState,
    Placement,
    ResourceRequirements,
    Resources,
    RestartCondition,
    RestartPolicy,
    Service,
    ServiceMode,
    ServiceSpec,
    Task,
    TaskState,
)
from tests.support.small_cluster import SmallCluster, spec
from tests.support.stage import make_node

COMPLETE, RUNNING, FAILED = TaskState.COMPLETE, TaskState.RUNNING, TaskState.FAILED


@pytest.fixture
def cluster() -> SmallCluster:
    return SmallCluster(nodes=3)


def job(total: int | None = 4, at_once: int | None = 2, **rest: object) -> ServiceSpec:
    wanted = spec(None, mode=ServiceMode.REPLICATED_JOB, **rest)  # type: ignore[arg-type]
    return replace(wanted, total_completions=total, max_concurrent=at_once)


def global_job(**rest: object) -> ServiceSpec:
    return spec(None, mode=ServiceMode.GLOBAL_JOB, **rest)  # type: ignore[arg-type]


def run_again(cluster: SmallCluster, service: Service) -> Service:
    """As the control API does it."""
    old = cluster.service(service.id)
    iteration = old.job_status.iteration + 1 if old.job_status else 1
    cluster.write(
        lambda tx: tx.update(
            replace(old, spec_version=old.spec_version + 1, job_status=JobStatus(iteration, cluster.now))
        )
    )
    cluster.settle()
    return cluster.service(service.id)


def in_progress(cluster: SmallCluster, service: Service) -> list[Task]:
    return [
        task
        for task in cluster.tasks(service.id)
        if task.desired_state < TaskState.SHUTDOWN and task.status.state <= RUNNING
    ]


def completed(cluster: SmallCluster, service: Service) -> list[Task]:
    return [task for task in cluster.tasks(service.id) if task.status.state is COMPLETE]


def only(tasks: list[Task]) -> Task:
    (task,) = tasks
    return task


def test_JOB_01_so_many_complete_and_never_more_at_once_than_may(cluster: SmallCluster) -> None:
    service = cluster.create(job(5, 2))
    while tasks := in_progress(cluster, service):
        assert len(tasks) <= 2
        assert {task.desired_state for task in tasks} == {COMPLETE}
        cluster.report(tasks[0].id, RUNNING)
        cluster.report(tasks[0].id, COMPLETE)
    assert sorted(task.slot for task in completed(cluster, service)) == [1, 2, 3, 4, 5]
    assert len(cluster.tasks(service.id)) == 5


def test_JOB_01_slots_are_begun_from_the_lowest(cluster: SmallCluster) -> None:
    service = cluster.create(job(5, 3))
    assert [task.slot for task in in_progress(cluster, service)] == [1, 2, 3]
    cluster.report(in_progress(cluster, service)[1].id, COMPLETE)
    assert [task.slot for task in in_progress(cluster, service)] == [1, 3, 4]


@pytest.mark.parametrize(("total", "at_once", "begun", "ends"), [(None, None, 1, 1), (None, 3, 3, 3), (3, None, 1, 3)])
def test_JOB_01_what_is_not_given(
    cluster: SmallCluster, total: int | None, at_once: int | None, begun: int, ends: int
) -> None:
    service = cluster.create(job(total, at_once))
    assert len(in_progress(cluster, service)) == begun
    cluster.obey()
    assert len(completed(cluster, service)) == ends


def test_JOB_02_no_more_are_started_than_are_missing(cluster: SmallCluster) -> None:
    service = cluster.create(job(5, 4))
    for task in in_progress(cluster, service)[:3]:
        cluster.report(task.id, COMPLETE)
    assert [task.slot for task in in_progress(cluster, service)] == [4, 5]


def test_JOB_02_a_failed_task_is_replaced_in_its_slot_after_the_restart_delay(cluster: SmallCluster) -> None:
    service = cluster.create(job(2, 1, restart=RestartPolicy(delay=5 * 10**9)))
    cluster.report(only(in_progress(cluster, service)).id, FAILED)
    held = only(in_progress(cluster, service))
    assert (held.slot, held.desired_state) == (1, TaskState.READY)
    cluster.wait(5)
    assert only(in_progress(cluster, service)).desired_state is COMPLETE
    cluster.obey()
    assert sorted(task.slot for task in completed(cluster, service)) == [1, 2]


@pytest.mark.parametrize(
    "policy", [RestartPolicy(RestartCondition.NONE), RestartPolicy(RestartCondition.ON_FAILURE, 0, max_attempts=1)]
)
def test_JOB_02_a_slot_that_failed_for_good_gives_its_place_to_the_next(
    cluster: SmallCluster, policy: RestartPolicy
) -> None:
    service = cluster.create(job(2, 1, restart=policy))
    for _ in range(policy.max_attempts + 1):
        assert only(in_progress(cluster, service)).slot == 1
        cluster.report(only(in_progress(cluster, service)).id, FAILED)
    assert only(in_progress(cluster, service)).slot == 2
    cluster.obey()
    cluster.wait(60)
    assert [task.slot for task in completed(cluster, service)] == [2]
    assert not in_progress(cluster, service)


def test_JOB_03_each_update_runs_the_job_again_and_takes_the_old_tasks_away(cluster: SmallCluster) -> None:
    service = cluster.create(job(3, 3))
    cluster.obey()
    service = run_again(cluster, service)
    assert [task.job_iteration for task in cluster.tasks(service.id)] == [1, 1, 1]
    cluster.obey()
    assert [task.job_iteration for task in completed(cluster, service)] == [1, 1, 1]


def test_JOB_03_tasks_of_an_old_run_are_stopped_and_hold_their_places_until_they_are(cluster: SmallCluster) -> None:
    service = cluster.create(job(4, 2))
    old = in_progress(cluster, service)
    for task in old:
        cluster.report(task.id, RUNNING)
    run_again(cluster, service)
    assert {cluster.task(task.id).desired_state for task in old} == {TaskState.REMOVE}
    assert not in_progress(cluster, service)
    cluster.report(old[1].id, TaskState.SHUTDOWN)
    held, begun = in_progress(cluster, service)
    assert (held.slot, held.desired_state) == (1, TaskState.READY)
    assert (begun.slot, begun.desired_state) == (2, COMPLETE)
    cluster.report(old[0].id, TaskState.SHUTDOWN)
    assert cluster.task(held.id).desired_state is COMPLETE
    assert len(in_progress(cluster, service)) == 2
    assert not {task.id for task in cluster.tasks(service.id)} & {task.id for task in old}


def test_JOB_03_restarts_of_an_old_run_do_not_count(cluster: SmallCluster) -> None:
    service = cluster.create(job(1, 1, restart=RestartPolicy(RestartCondition.ANY, 10**9, max_attempts=1)))
    for _ in range(2):
        cluster.wait(1)
        cluster.report(only(in_progress(cluster, service)).id, FAILED)
    assert not in_progress(cluster, service)
    run_again(cluster, service)
    assert only(in_progress(cluster, service)).desired_state is COMPLETE
    cluster.report(only(in_progress(cluster, service)).id, FAILED)
    cluster.wait(1)
    cluster.obey()
    assert len(completed(cluster, service)) == 1


def test_JOB_04_a_global_job_runs_once_on_every_node_that_may_have_it(cluster: SmallCluster) -> None:
    cluster.put_node(make_node("paused", spec=NodeSpec(availability=Availability.PAUSE)))
    cluster.put_node(make_node("down", state=NodeState.DOWN))
    service = cluster.create(global_job())
    assert {task.desired_state for task in cluster.tasks(service.id)} == {COMPLETE}
    cluster.obey()
    cluster.wait(60)
    assert Counter(task.node_id for task in cluster.tasks(service.id)) == {"node-0": 1, "node-1": 1, "node-2": 1}
    assert len(completed(cluster, service)) == 3
    cluster.put_node(make_node("new"))
    cluster.settle()
    assert only(in_progress(cluster, service)).node_id == "new"


def test_JOB_04_constraints_say_which_nodes(cluster: SmallCluster) -> None:
    cluster.put_node(make_node("ssd", spec=NodeSpec(labels={"disk": "ssd"})))
    service = cluster.create(global_job(placement=Placement(("node.labels.disk==ssd",))))
    assert [task.node_id for task in cluster.tasks(service.id)] == ["ssd"]
    cluster.put_node(replace(cluster.node("ssd"), spec=NodeSpec()))
    cluster.settle()
    assert not in_progress(cluster, service)


def test_JOB_04_a_drained_nodes_task_is_shut_down_and_runs_when_the_node_is_back(cluster: SmallCluster) -> None:
    service = cluster.create(global_job())
    task = only([task for task in cluster.tasks(service.id) if task.node_id == "node-1"])
    cluster.report(task.id, RUNNING)
    node = cluster.node("node-1")
    cluster.put_node(replace(node, spec=NodeSpec(availability=Availability.DRAIN)))
    cluster.settle()
    assert cluster.task(task.id).desired_state is TaskState.SHUTDOWN
    cluster.report(task.id, TaskState.SHUTDOWN)
    assert "node-1" not in [task.node_id for task in in_progress(cluster, service)]
    cluster.put_node(replace(cluster.node("node-1"), spec=NodeSpec()))
    cluster.settle()
    cluster.obey()
    assert Counter(task.node_id for task in completed(cluster, service)) == {"node-0": 1, "node-1": 1, "node-2": 1}


def test_a_task_of_a_lost_node_is_run_elsewhere(cluster: SmallCluster) -> None:
    service = cluster.create(job(1, 1))
    lost = only(in_progress(cluster, service))
    cluster.report(lost.id, RUNNING)
    node = cluster.node(lost.node_id)
    cluster.put_node(replace(node, status=replace(node.status, state=NodeState.DOWN)))
    cluster.settle()
    other = only(in_progress(cluster, service))
    assert other.node_id != lost.node_id
    assert other.desired_state is COMPLETE


def test_a_task_that_completes_while_it_is_being_moved_is_not_run_once_more(cluster: SmallCluster) -> None:
    service = cluster.create(job(1, 1))
    moved = only(in_progress(cluster, service))
    cluster.report(moved.id, RUNNING)
    node = cluster.node(moved.node_id)
    cluster.put_node(replace(node, spec=NodeSpec(availability=Availability.DRAIN)))
    cluster.settle()
    held = only([task for task in in_progress(cluster, service) if task.id != moved.id])
    assert held.desired_state is TaskState.READY
    cluster.report(moved.id, COMPLETE)
    assert not in_progress(cluster, service)


def test_JOB_05_any_is_on_failure(cluster: SmallCluster) -> None:
    service = cluster.create(job(1, 1, restart=RestartPolicy(RestartCondition.ANY, 0)))
    cluster.report(only(in_progress(cluster, service)).id, FAILED)
    cluster.report(only(in_progress(cluster, service)).id, COMPLETE)
    cluster.wait(60)
    assert len(cluster.tasks(service.id)) == 2
    assert len(completed(cluster, service)) == 1


def test_a_completed_task_holds_nothing() -> None:
    cluster = SmallCluster()
    cluster.put_node(make_node("only", cpus=1))
    whole = ResourceRequirements(reservations=Resources(nano_cpus=10**9))
    service = cluster.create(job(3, 3, resources=whole))
    for _ in range(3):
        placed = only([task for task in in_progress(cluster, service) if task.node_id])
        cluster.report(placed.id, COMPLETE)
    assert len(completed(cluster, service)) == 3


def test_a_new_leader_goes_on_where_the_last_one_stood(cluster: SmallCluster) -> None:
    service = cluster.create(job(6, 2))
    while tasks := in_progress(cluster, service):
        assert len(tasks) <= 2
        cluster.report(tasks[-1].id, COMPLETE)
        cluster.change_leader()
        cluster.settle()
    assert sorted(task.slot for task in completed(cluster, service)) == [1, 2, 3, 4, 5, 6]


def test_a_job_that_is_removed_leaves_nothing(cluster: SmallCluster) -> None:
    service = cluster.create(job(3, 2))
    cluster.report(in_progress(cluster, service)[0].id, COMPLETE)
    cluster.remove_service(service.id)
    cluster.obey()
    assert not cluster.tasks(service.id)


def test_a_large_job_is_begun_in_many_small_turns(cluster: SmallCluster) -> None:
    service = cluster.create(job(1_000, 1_000))
    assert len(in_progress(cluster, service)) == 1_000


def test_a_job_takes_no_more_room_than_what_it_has_begun(cluster: SmallCluster) -> None:
    service = cluster.create(job(10**12, 2))
    cluster.report(in_progress(cluster, service)[0].id, COMPLETE)
    assert [task.slot for task in in_progress(cluster, service)] == [2, 3]
    cluster.change_leader()
    cluster.settle()
    cluster.report(in_progress(cluster, service)[0].id, COMPLETE)
    assert [task.slot for task in in_progress(cluster, service)] == [3, 4]
