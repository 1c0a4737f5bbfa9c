"""What a rolling update does when its tasks fail."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.clock import SECOND
from core.model import (
    Availability,
    ContainerSpec,
    FailureAction,
    NodeState,
    Placement,
    RestartCondition,
    RestartPolicy,
    Service,
    ServiceMode,
    ServiceSpec,
    Task,
    TaskState,
    UpdateConfig,
    UpdateOrder,
    UpdateState,
)
from tests.support.small_cluster import SmallCluster, spec

NEVER = RestartPolicy(condition=RestartCondition.NONE)
AT_ONCE = RestartPolicy(delay=0)


@pytest.fixture
def cluster() -> SmallCluster:
    return SmallCluster(nodes=3)


def start_update(cluster: SmallCluster, replicas: int, config: UpdateConfig, restart: RestartPolicy = NEVER) -> Service:
    """A service that runs, and is told to run another image."""
    service = cluster.create(replace(spec(replicas, restart=restart), update=config))
    cluster.obey()
    return cluster.update(service.id, wanted(replicas, config, restart))


def wanted(replicas: int, config: UpdateConfig, restart: RestartPolicy = NEVER) -> ServiceSpec:
    return replace(spec(replicas, image="other", restart=restart), update=config)


def fresh(cluster: SmallCluster, service: Service) -> list[Task]:
    return [task for task in cluster.live(service.id) if task.spec.container.image == "other"]


def run(cluster: SmallCluster, service: Service, fails: Callable[[Task], bool], seconds: int = 60) -> list[str]:
    """Time passes; the new tasks that `fails` picks fail as they start. Returns their ids in that order."""
    failed = []
    for _ in range(2 * seconds):
        cluster.obey_once()
        for task in fresh(cluster, service):
            if task.status.state is TaskState.RUNNING and fails(task):
                cluster.report(task.id, TaskState.FAILED)
                failed.append(task.id)
    return failed


def first_running(cluster: SmallCluster, service: Service) -> Task:
    """The first task of the update that runs; at most the next one has been begun."""
    while True:
        cluster.obey_once()
        for task in fresh(cluster, service):
            if task.status.state is TaskState.RUNNING:
                return task


def status(cluster: SmallCluster, service: Service) -> tuple[UpdateState, str]:
    found = cluster.service(service.id).update_status
    assert found is not None
    return found.state, found.message


def test_UPD_04_an_update_pauses_when_a_task_fails_and_stays_so_until_there_is_a_new_spec(
    cluster: SmallCluster,
) -> None:
    service = start_update(cluster, 4, UpdateConfig())
    failed = run(cluster, service, lambda task: True)
    paused = (UpdateState.PAUSED, f"update paused due to failure or early termination of task {failed[0]}")
    assert status(cluster, service) == paused
    cluster.change_leader()
    run(cluster, service, lambda task: True)
    assert status(cluster, service) == paused
    assert [task.spec.container.image for task in cluster.running(service.id)] == ["busybox"] * 2
    cluster.update(service.id, replace(wanted(4, UpdateConfig()), labels={"new": "spec"}))
    run(cluster, service, lambda task: False)
    assert status(cluster, service) == (UpdateState.COMPLETED, "update completed")
    assert not [task for task in cluster.running(service.id) if task.spec.container.image == "busybox"]


def test_an_update_that_was_paused_and_is_asked_to_go_on_does_not_count_old_failures(cluster: SmallCluster) -> None:
    service = start_update(cluster, 3, UpdateConfig(), AT_ONCE)
    cluster.report(first_running(cluster, service).id, TaskState.FAILED)
    assert status(cluster, service)[0] is UpdateState.PAUSED
    cluster.update(service.id, cluster.service(service.id).spec)
    run(cluster, service, lambda task: False)
    assert status(cluster, service)[0] is UpdateState.COMPLETED


def test_an_update_that_was_paused_is_resumed_within_the_restart_delay_of_what_failed(cluster: SmallCluster) -> None:
    config = UpdateConfig(order=UpdateOrder.START_FIRST)
    service = start_update(cluster, 1, config, RestartPolicy())
    (failed,) = fresh(cluster, service)
    cluster.report(failed.id, TaskState.REJECTED)
    assert status(cluster, service)[0] is UpdateState.PAUSED
    cluster.update(service.id, wanted(1, config, RestartPolicy()))
    cluster.obey()
    cluster.wait(5)
    assert status(cluster, service)[0] is UpdateState.COMPLETED
    assert [task.spec.container.image for task in cluster.running(service.id)] == ["other"]


def test_going_back_to_what_has_just_crashed_is_an_update_like_any(cluster: SmallCluster) -> None:
    service = cluster.create(spec(1))
    cluster.obey()
    cluster.report(cluster.running(service.id)[0].id, TaskState.FAILED)
    cluster.update(service.id, spec(1, image="other"))
    cluster.obey()
    cluster.update(service.id, spec(1))
    cluster.obey()
    cluster.wait(5)
    assert status(cluster, service)[0] is UpdateState.COMPLETED
    assert [task.spec.container.image for task in cluster.running(service.id)] == ["busybox"]


def all_rejected(cluster: SmallCluster, replicas: int, config: UpdateConfig) -> Service:
    """A service none of whose tasks lives: each waits for another try, as its image cannot be pulled."""
    service = cluster.create(replace(spec(replicas, image="wrong"), update=config))
    for _ in range(2):
        for task in cluster.live(service.id):
            cluster.report(task.id, TaskState.REJECTED)
    assert not cluster.live(service.id)
    return service


@pytest.mark.parametrize("new_leader", [False, True])
def test_an_update_of_nothing_but_tasks_that_wait_for_another_try_is_an_update(
    cluster: SmallCluster, new_leader: bool
) -> None:
    service = all_rejected(cluster, 2, UpdateConfig())
    if new_leader:
        cluster.change_leader()
    cluster.update(service.id, wanted(2, UpdateConfig(), RestartPolicy()))
    assert status(cluster, service)[0] is UpdateState.UPDATING
    assert len(fresh(cluster, service)) == 2, "nothing is served, so nothing waits"
    cluster.obey()
    cluster.wait(10)
    assert status(cluster, service)[0] is UpdateState.COMPLETED


def test_an_update_of_nothing_but_tasks_that_wait_for_another_try_fails_like_any(cluster: SmallCluster) -> None:
    service = all_rejected(cluster, 1, UpdateConfig())
    cluster.update(service.id, wanted(1, UpdateConfig(), RestartPolicy()))
    (task,) = fresh(cluster, service)
    cluster.report(task.id, TaskState.REJECTED)
    failed = f"update paused due to failure or early termination of task {task.id}"
    assert status(cluster, service) == (UpdateState.PAUSED, failed)


@pytest.mark.parametrize(
    ("restart", "end"),
    [
        (NEVER, TaskState.COMPLETE),
        (NEVER, TaskState.FAILED),
        (RestartPolicy(condition=RestartCondition.ON_FAILURE), TaskState.COMPLETE),
        (RestartPolicy(delay=0, max_attempts=1), TaskState.FAILED),
    ],
)
def test_what_had_ended_for_good_is_run_anew_without_an_update(
    cluster: SmallCluster, restart: RestartPolicy, end: TaskState
) -> None:
    """Such a task may well end at once again: that is no failure of an update, and nothing is to be rolled back."""
    config = UpdateConfig(failure_action=FailureAction.ROLLBACK)
    service = cluster.create(replace(spec(1, restart=restart), update=config))
    for image in ("busybox", "other"):
        for _ in range(3):
            cluster.obey()
            for task in cluster.running(service.id):
                cluster.report(task.id, end)
        assert not cluster.live(service.id)
        assert cluster.tasks(service.id)[-1].spec.container.image == image
        assert cluster.service(service.id).update_status is None
        if image == "busybox":
            cluster.update(service.id, wanted(1, config, restart))


@pytest.mark.parametrize("new_leader", [False, True])
def test_a_node_that_comes_back_after_its_service_was_changed_begins_no_update(new_leader: bool) -> None:
    cluster = SmallCluster(nodes=1)
    everywhere = replace(spec(None, mode=ServiceMode.GLOBAL), update=UpdateConfig())
    service = cluster.create(everywhere)
    cluster.obey()
    active = cluster.node("node-0").spec
    cluster.put_node(replace(cluster.node("node-0"), spec=replace(active, availability=Availability.DRAIN)))
    cluster.obey()
    cluster.update(service.id, replace(everywhere, task=spec(image="other").task))
    cluster.put_node(replace(cluster.node("node-0"), spec=active))
    cluster.settle()
    if new_leader:
        cluster.change_leader()
        cluster.settle()
    assert len(fresh(cluster, service)) == 1
    assert cluster.service(service.id).update_status is None


@pytest.mark.parametrize("new_leader", [False, True])
def test_a_change_of_the_replicas_is_no_update_even_while_a_task_is_tried_again(
    cluster: SmallCluster, new_leader: bool
) -> None:
    service = start_update(cluster, 2, UpdateConfig(), AT_ONCE)
    run(cluster, service, lambda task: False)
    cluster.report(cluster.running(service.id)[0].id, TaskState.FAILED)
    cluster.update(service.id, wanted(3, UpdateConfig(), AT_ONCE))
    cluster.obey()
    cluster.report(cluster.running(service.id)[0].id, TaskState.FAILED)
    if new_leader:
        cluster.change_leader()
    cluster.obey()
    cluster.wait(60)
    assert cluster.service(service.id).update_status is None


@pytest.mark.parametrize("new_leader", [False, True])
def test_a_paused_update_that_starts_first_leaves_no_two_copies_of_a_slot(
    cluster: SmallCluster, new_leader: bool
) -> None:
    service = start_update(cluster, 2, UpdateConfig(order=UpdateOrder.START_FIRST, parallelism=2))
    failed, other = fresh(cluster, service)
    cluster.report(failed.id, TaskState.FAILED)
    assert status(cluster, service)[0] is UpdateState.PAUSED
    if new_leader:
        cluster.change_leader()
    cluster.obey()
    cluster.wait(60)
    assert status(cluster, service)[0] is UpdateState.PAUSED
    assert sorted(task.spec.container.image for task in cluster.running(service.id)) == ["busybox", "other"]
    assert other.id in {task.id for task in cluster.running(service.id)}


def test_UPD_05_continue_goes_through_all_slots_whatever_fails(cluster: SmallCluster) -> None:
    service = start_update(cluster, 4, UpdateConfig(failure_action=FailureAction.CONTINUE))
    failed = run(cluster, service, lambda task: True)
    assert len(failed) == 4
    assert status(cluster, service) == (UpdateState.COMPLETED, "update completed")


@pytest.mark.parametrize(("failing", "ends"), [(1, UpdateState.COMPLETED), (2, UpdateState.PAUSED)])
def test_UPD_06_the_action_is_taken_when_more_than_the_ratio_of_the_slots_has_failed(
    cluster: SmallCluster, failing: int, ends: UpdateState
) -> None:
    service = start_update(cluster, 4, UpdateConfig(max_failure_ratio=0.25))
    run(cluster, service, lambda task: task.slot <= failing)
    assert status(cluster, service)[0] is ends


@pytest.mark.parametrize(("after", "ends"), [(4, UpdateState.PAUSED), (6, UpdateState.COMPLETED)])
@pytest.mark.parametrize("led_by", ["the same leader", "a new leader"])
def test_UPD_06_a_task_that_fails_after_it_was_watched_long_enough_does_not_count(
    cluster: SmallCluster, after: int, ends: UpdateState, led_by: str
) -> None:
    service = start_update(cluster, 2, UpdateConfig(parallelism=1, delay=5 * SECOND, monitor=5 * SECOND))
    cluster.obey()
    (first,) = fresh(cluster, service)
    cluster.wait(after)
    cluster.obey()
    if led_by == "a new leader":
        cluster.change_leader()
    cluster.report(first.id, TaskState.FAILED)
    run(cluster, service, lambda task: False)
    assert status(cluster, service)[0] is ends


def test_UPD_06_a_task_lost_with_its_node_is_no_failure_of_the_update(cluster: SmallCluster) -> None:
    service = start_update(cluster, 3, UpdateConfig(), AT_ONCE)
    cluster.obey()
    task = fresh(cluster, service)[0]
    node = cluster.node(task.node_id)
    cluster.put_node(replace(node, status=replace(node.status, state=NodeState.DOWN)))
    for _ in range(30):
        cluster.obey(node.id)
        cluster.wait(1)
    assert status(cluster, service)[0] is UpdateState.COMPLETED


def test_UPD_07_rollback_restores_the_former_spec(cluster: SmallCluster) -> None:
    service = start_update(cluster, 3, UpdateConfig(failure_action=FailureAction.ROLLBACK))
    former = service.previous_spec
    failed = first_running(cluster, service)
    cluster.report(failed.id, TaskState.FAILED)
    assert status(cluster, service) == (
        UpdateState.ROLLBACK_STARTED,
        f"update rolled back due to failure or early termination of task {failed.id}",
    )
    run(cluster, service, lambda task: False)
    assert status(cluster, service) == (UpdateState.ROLLBACK_COMPLETED, "rollback completed")
    now = cluster.service(service.id)
    assert now.spec == former
    assert now.previous_spec is None
    assert [task.spec.container.image for task in cluster.running(service.id)] == ["busybox"] * 3


def test_a_rollback_is_not_complete_before_the_slots_that_had_failed_run_again(cluster: SmallCluster) -> None:
    service = start_update(cluster, 2, UpdateConfig(failure_action=FailureAction.ROLLBACK))
    failed = first_running(cluster, service)
    cluster.report(failed.id, TaskState.FAILED)
    cluster.wait(60)
    assert status(cluster, service)[0] is UpdateState.ROLLBACK_STARTED
    cluster.change_leader()
    cluster.wait(60)
    assert status(cluster, service)[0] is UpdateState.ROLLBACK_STARTED
    cluster.obey()
    cluster.wait(5)
    assert status(cluster, service)[0] is UpdateState.ROLLBACK_COMPLETED
    assert len(cluster.running(service.id)) == 2


def test_a_rollback_is_not_complete_while_the_old_task_of_a_slot_still_stops(cluster: SmallCluster) -> None:
    service = start_update(cluster, 1, UpdateConfig(failure_action=FailureAction.ROLLBACK), RestartPolicy())
    (stopping,) = cluster.running(service.id)
    (rejected,) = fresh(cluster, service)
    cluster.report(rejected.id, TaskState.REJECTED)
    assert status(cluster, service)[0] is UpdateState.ROLLBACK_STARTED
    cluster.report(stopping.id, TaskState.SHUTDOWN)
    assert status(cluster, service)[0] is UpdateState.ROLLBACK_STARTED
    cluster.obey()
    cluster.wait(5)
    assert status(cluster, service)[0] is UpdateState.ROLLBACK_COMPLETED
    assert len(cluster.running(service.id)) == 1


def test_UPD_07_a_rollback_that_fails_is_paused_and_never_rolled_back(cluster: SmallCluster) -> None:
    service = start_update(cluster, 2, UpdateConfig(failure_action=FailureAction.ROLLBACK))
    cluster.report(first_running(cluster, service).id, TaskState.FAILED)
    cluster.obey()
    again = next(task for task in cluster.running(service.id) if task.spec_version == service.spec_version + 1)
    cluster.report(again.id, TaskState.FAILED)
    message = f"rollback paused due to failure or early termination of task {again.id}"
    assert status(cluster, service) == (UpdateState.ROLLBACK_PAUSED, message)
    run(cluster, service, lambda task: True)
    assert status(cluster, service) == (UpdateState.ROLLBACK_PAUSED, message)


def test_an_update_with_nothing_to_go_back_to_is_paused(cluster: SmallCluster) -> None:
    config = UpdateConfig(failure_action=FailureAction.ROLLBACK)
    service = start_update(cluster, 2, config)
    cluster.write(lambda tx: tx.update(replace(cluster.service(service.id), previous_spec=None)))
    run(cluster, service, lambda task: True)
    assert status(cluster, service)[0] is UpdateState.PAUSED


def test_an_update_says_which_task_it_waits_for_and_why(cluster: SmallCluster) -> None:
    service = cluster.create(spec(2))
    cluster.obey()
    nowhere = spec(2, image="other", placement=Placement(("node.labels.zone==nowhere",)))
    cluster.update(service.id, nowhere)
    cluster.obey()
    (waiting,) = fresh(cluster, service)
    state, message = status(cluster, service)
    assert state is UpdateState.UPDATING
    assert message.startswith(f"update in progress: task {waiting.id} waits: no suitable node")
    cluster.update(service.id, spec(2, image="third"))
    cluster.obey()
    assert status(cluster, service)[1] == "update in progress"


def start_nowhere(cluster: SmallCluster, config: UpdateConfig, grace: int | None = None) -> Service:
    """A service of two tasks that runs, and is told to run where it cannot."""
    container = ContainerSpec(image="busybox", stop_grace_period=grace)
    service = cluster.create(replace(spec(2, container=container), update=config))
    cluster.obey()
    nowhere = spec(2, image="other", placement=Placement(("node.labels.zone==nowhere",)))
    service = cluster.update(service.id, replace(nowhere, update=config))
    if grace is None:
        cluster.obey()
    return service


def test_an_update_whose_task_finds_no_node_in_time_is_paused_and_says_so(cluster: SmallCluster) -> None:
    service = start_nowhere(cluster, UpdateConfig())
    cluster.wait(599)
    assert status(cluster, service)[0] is UpdateState.UPDATING
    cluster.wait(1)
    (waiting,) = fresh(cluster, service)
    state, message = status(cluster, service)
    assert state is UpdateState.PAUSED
    assert message.startswith(f"update paused because task {waiting.id} has found no node for 10m0s: no suitable node")


def test_a_new_leader_waits_for_a_place_only_as_long_as_is_left(cluster: SmallCluster) -> None:
    service = start_nowhere(cluster, UpdateConfig())
    cluster.wait(400)
    cluster.change_leader()
    cluster.wait(200)
    assert status(cluster, service)[0] is UpdateState.PAUSED


def test_an_update_that_finds_no_node_in_time_is_rolled_back_if_that_is_wanted(cluster: SmallCluster) -> None:
    service = start_nowhere(cluster, UpdateConfig(failure_action=FailureAction.ROLLBACK))
    cluster.wait(600)
    assert status(cluster, service)[0] is UpdateState.ROLLBACK_STARTED
    cluster.obey()
    cluster.wait(5)
    assert status(cluster, service) == (UpdateState.ROLLBACK_COMPLETED, "rollback completed")
    assert len(cluster.running(service.id)) == 2


def test_an_update_that_is_to_continue_goes_on_with_other_slots_and_says_what_it_waits_for(
    cluster: SmallCluster,
) -> None:
    service = start_nowhere(cluster, UpdateConfig(failure_action=FailureAction.CONTINUE))
    (first,) = fresh(cluster, service)
    cluster.wait(600)
    cluster.obey()
    assert len(fresh(cluster, service)) == 2
    state, message = status(cluster, service)
    assert state is UpdateState.UPDATING
    assert f"task {first.id} waits" in message
    node = cluster.node("node-0")
    cluster.put_node(replace(node, spec=replace(node.spec, labels={"zone": "nowhere"})))
    cluster.settle()
    cluster.obey()
    cluster.wait(5)
    assert status(cluster, service)[0] is UpdateState.COMPLETED


def test_the_time_for_a_place_begins_when_the_old_task_has_made_room(cluster: SmallCluster) -> None:
    service = start_nowhere(cluster, UpdateConfig(), grace=3600 * SECOND)
    cluster.wait(1200)
    assert status(cluster, service)[0] is UpdateState.UPDATING
    cluster.obey()
    cluster.wait(599)
    assert status(cluster, service)[0] is UpdateState.UPDATING
    cluster.wait(1)
    assert status(cluster, service)[0] is UpdateState.PAUSED


def test_an_update_that_was_paused_for_want_of_a_place_is_given_as_long_again(cluster: SmallCluster) -> None:
    service = start_nowhere(cluster, UpdateConfig())
    cluster.wait(600)
    cluster.update(service.id, cluster.service(service.id).spec)
    cluster.wait(599)
    assert status(cluster, service)[0] is UpdateState.UPDATING
    cluster.wait(1)
    assert status(cluster, service)[0] is UpdateState.PAUSED


def test_failures_are_seen_by_a_leader_whose_clock_is_behind(cluster: SmallCluster) -> None:
    service = start_update(cluster, 3, UpdateConfig())
    cluster.change_leader()
    cluster.now -= 3600 * SECOND
    failed = run(cluster, service, lambda task: True)
    assert status(cluster, service) == (
        UpdateState.PAUSED,
        f"update paused due to failure or early termination of task {failed[0]}",
    )


def test_a_rollback_is_complete_only_when_every_task_runs(cluster: SmallCluster) -> None:
    service = start_update(cluster, 2, UpdateConfig())
    run(cluster, service, lambda task: False)
    cluster.roll_back(service.id)
    cluster.update(service.id, replace(cluster.service(service.id).spec, replicas=3))
    cluster.obey()
    cluster.wait(60)
    cluster.roll_back(service.id)
    cluster.obey()
    cluster.wait(60)
    cluster.roll_back(service.id)
    assert status(cluster, service)[0] is UpdateState.ROLLBACK_STARTED
    cluster.wait(60)
    assert status(cluster, service)[0] is UpdateState.ROLLBACK_STARTED
    cluster.obey()
    cluster.wait(5)
    assert status(cluster, service) == (UpdateState.ROLLBACK_COMPLETED, "rollback completed")
    assert len(cluster.running(service.id)) == 3


def test_a_rollback_that_cannot_run_all_its_tasks_is_paused_and_says_why(cluster: SmallCluster) -> None:
    one_each = Placement(max_replicas=1)
    service = cluster.create(spec(4, placement=one_each))
    cluster.obey()
    cluster.update(service.id, spec(3, placement=one_each))
    cluster.obey()
    cluster.roll_back(service.id)
    assert "waits: no suitable node" in status(cluster, service)[1]
    cluster.wait(600)
    state, message = status(cluster, service)
    assert state is UpdateState.ROLLBACK_PAUSED
    assert "has found no node for 10m0s" in message
