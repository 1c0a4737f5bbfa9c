"""Spreading a service's tasks again."""

from collections import Counter
from dataclasses import replace

import pytest

from core.errors import FailedPrecondition, InvalidArgument
from core.model import (
    Availability,
    NodeSpec,
    Rebalance,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    Service,
    ServiceMode,
    Task,
    TaskState,
    UpdateConfig,
    UpdateOrder,
)
from manager.control import services
from tests.support.small_cluster import SmallCluster, spec
from tests.support.stage import make_node

STOP_FIRST, START_FIRST = UpdateOrder
CPU = 10**9


def crowded(replicas: int = 4, **rest: object) -> tuple[SmallCluster, Service]:
    """A service whose tasks all lie on one of two nodes, as the other was away."""
    cluster = SmallCluster(nodes=1)
    service = cluster.create(spec(replicas, **rest))  # type: ignore[arg-type]
    cluster.obey()
    cluster.put_node(make_node("node-1"))
    cluster.settle()
    return cluster, service


def ask(cluster: SmallCluster, service: Service, most: int = 1, order: UpdateOrder = STOP_FIRST) -> None:
    cluster.write(lambda tx: services.rebalance_service(tx, service.id, most, order, cluster.now))
    cluster.settle()


def state(cluster: SmallCluster, service: Service) -> Rebalance:
    found = cluster.service(service.id).rebalance
    assert found is not None
    return found


def where(cluster: SmallCluster, service: Service) -> Counter[str]:
    return Counter(task.node_id for task in cluster.running(service.id))


def probes(cluster: SmallCluster, service: Service) -> list[Task]:
    return [task for task in cluster.live(service.id) if task.status.state is not TaskState.RUNNING]


def test_an_update_that_starts_first_keeps_its_tasks_when_it_ends_a_rebalance() -> None:
    cluster, service = crowded(2)
    ask(cluster, service)
    config = UpdateConfig(parallelism=0, order=START_FIRST)
    cluster.update(service.id, replace(spec(2, image="other"), update=config))
    assert state(cluster, service).error
    news = [task for task in cluster.tasks(service.id) if task.spec.container.image == "other"]
    assert [task.desired_state for task in news] == [TaskState.RUNNING] * 2


@pytest.mark.parametrize("order", [STOP_FIRST, START_FIRST])
def test_tasks_are_moved_until_the_service_lies_level(order: UpdateOrder) -> None:
    cluster, service = crowded()
    ask(cluster, service, order=order)
    cluster.obey()
    assert where(cluster, service) == {"node-0": 2, "node-1": 2}
    assert (state(cluster, service).moved, state(cluster, service).error) == (2, "")
    assert state(cluster, service).completed_at
    assert sorted(task.slot for task in cluster.running(service.id)) == [1, 2, 3, 4]


@pytest.mark.parametrize("most", [1, 2])
def test_stop_first_lets_no_more_tasks_be_away_than_may(most: int) -> None:
    cluster, service = crowded(8)
    ask(cluster, service, most)
    while not state(cluster, service).completed_at:
        assert len(cluster.running(service.id)) >= 8 - most
        slots = Counter(task.slot for task in cluster.running(service.id))
        assert set(slots.values()) == {1}
        cluster.obey_once()
    assert where(cluster, service) == {"node-0": 4, "node-1": 4}


def test_start_first_never_dips() -> None:
    cluster, service = crowded(6)
    ask(cluster, service, 2, START_FIRST)
    while not state(cluster, service).completed_at:
        assert len({task.slot for task in cluster.running(service.id)}) == 6
        assert len(cluster.live(service.id)) <= 8
        cluster.obey_once()
    assert where(cluster, service) == {"node-0": 3, "node-1": 3}


def test_the_old_task_runs_until_the_new_one_is_ready() -> None:
    cluster, service = crowded(2)
    ask(cluster, service)
    (probe,) = probes(cluster, service)
    assert (probe.node_id, probe.desired_state) == ("node-1", TaskState.READY)
    cluster.report(probe.id, TaskState.PREPARING)
    cluster.wait(60)
    assert len(cluster.running(service.id)) == 2
    cluster.report(probe.id, TaskState.READY)
    (old,) = [task for task in cluster.running(service.id) if task.desired_state is TaskState.SHUTDOWN]
    assert cluster.task(probe.id).desired_state is TaskState.READY
    cluster.wait(15)
    assert cluster.task(probe.id).desired_state is TaskState.READY
    cluster.report(old.id, TaskState.SHUTDOWN)
    assert cluster.task(probe.id).desired_state is TaskState.RUNNING


def test_what_lies_level_is_left_alone() -> None:
    cluster = SmallCluster(nodes=2)
    service = cluster.create(spec(5))
    cluster.obey()
    before = [task.id for task in cluster.tasks(service.id)]
    ask(cluster, service)
    assert [task.id for task in cluster.tasks(service.id)] == before
    assert state(cluster, service).completed_at


def test_a_node_without_room_is_tried_once_and_nothing_is_stopped_for_it() -> None:
    whole = ResourceRequirements(reservations=Resources(nano_cpus=CPU))
    cluster, service = crowded(4, resources=whole)
    cluster.put_node(make_node("node-1", cpus=0))
    cluster.put_node(make_node("node-2", cpus=1))
    cluster.settle()
    before = {task.id for task in cluster.running(service.id)}
    ask(cluster, service)
    cluster.obey()
    assert where(cluster, service) == {"node-0": 3, "node-2": 1}
    assert (state(cluster, service).moved, state(cluster, service).error) == (1, "")
    assert len(before & {task.id for task in cluster.running(service.id)}) == 3


def test_a_node_on_which_the_new_task_fails_is_not_tried_again() -> None:
    cluster, service = crowded(2, restart=RestartPolicy(delay=0))
    ask(cluster, service, order=START_FIRST)
    (probe,) = probes(cluster, service)
    cluster.report(probe.id, TaskState.REJECTED)
    assert not probes(cluster, service)
    assert where(cluster, service) == {"node-0": 2}
    assert state(cluster, service).completed_at


def test_a_new_leader_goes_on() -> None:
    cluster, service = crowded(8)
    ask(cluster, service, 2)
    for _ in range(60):
        cluster.obey_once()
        cluster.change_leader()
        cluster.settle()
        assert len(cluster.running(service.id)) >= 6
    cluster.obey()
    assert where(cluster, service) == {"node-0": 4, "node-1": 4}
    assert state(cluster, service).completed_at


def test_a_node_that_leaves_in_the_middle_is_no_longer_moved_to() -> None:
    cluster, service = crowded(4)
    ask(cluster, service)
    cluster.put_node(replace(cluster.node("node-1"), spec=NodeSpec(availability=Availability.DRAIN)))
    cluster.settle()
    cluster.obey()
    assert where(cluster, service) == {"node-0": 4}
    assert state(cluster, service).completed_at
    assert not probes(cluster, service)


def test_scaling_down_and_removing_in_the_middle_leave_nothing_behind() -> None:
    cluster, service = crowded(6)
    ask(cluster, service, 3)
    cluster.update(service.id, replace(service.spec, replicas=1))
    cluster.obey()
    assert len(cluster.live(service.id)) == 1
    assert state(cluster, service).completed_at
    cluster.update(service.id, replace(service.spec, replicas=6))
    ask(cluster, service)
    cluster.remove_service(service.id)
    cluster.obey()
    assert not cluster.tasks(service.id)


def test_an_update_ends_it_and_is_not_disturbed() -> None:
    cluster, service = crowded(4)
    ask(cluster, service)
    cluster.update(service.id, spec(4, image="other"))
    assert "an update of the service has begun" in state(cluster, service).error
    cluster.obey()
    cluster.wait(5)
    cluster.obey()
    assert {task.spec.container.image for task in cluster.running(service.id)} == {"other"}
    assert len(cluster.running(service.id)) == 4


def test_it_is_given_up_when_nothing_moves_for_ten_minutes() -> None:
    cluster, service = crowded(4)
    ask(cluster, service)
    cluster.wait(599)
    assert not state(cluster, service).completed_at
    cluster.change_leader()
    cluster.wait(1)
    assert "no task could be moved for 10m0s" in state(cluster, service).error
    assert not probes(cluster, service)
    assert len(cluster.running(service.id)) == 4


def test_a_slot_that_does_not_run_counts_as_away() -> None:
    cluster, service = crowded(4)
    (failing, *_) = cluster.running(service.id)
    cluster.report(failing.id, TaskState.FAILED)
    ask(cluster, service)
    assert len(cluster.live(service.id)) == 4
    cluster.wait(5)
    cluster.obey()
    cluster.obey()
    assert state(cluster, service).completed_at
    assert where(cluster, service) == {"node-0": 2, "node-1": 2}


def test_what_cannot_be_rebalanced_is_refused() -> None:
    cluster = SmallCluster(nodes=2)
    everywhere = cluster.create(spec(mode=ServiceMode.GLOBAL, name="everywhere"))
    service = cluster.create(spec(2))
    with pytest.raises(InvalidArgument, match="is not replicated"):
        ask(cluster, everywhere)
    with pytest.raises(InvalidArgument, match="max-unavailable is 1 or more"):
        ask(cluster, service, 0)
    cluster.obey()
    cluster.update(service.id, spec(2, image="other"))
    with pytest.raises(FailedPrecondition, match="is being updated: "):
        ask(cluster, service)
    cluster.obey()
    (failing, *_) = [task for task in cluster.running(service.id) if task.spec.container.image == "other"]
    cluster.report(failing.id, TaskState.FAILED)
    with pytest.raises(FailedPrecondition, match="is being updated, which is paused: "):
        ask(cluster, service)
