"""Nodes that change under their tasks."""

from dataclasses import replace

import pytest

from core.model import (
    Availability,
    GenericResource,
    NodeSpec,
    Placement,
    ResourceRequirements,
    Resources,
    RestartCondition,
    RestartPolicy,
    ServiceMode,
    TaskState,
)
from tests.support.small_cluster import SmallCluster, spec
from tests.support.stage import make_node

SSD = Placement(("node.labels.disk==ssd",))


@pytest.fixture
def cluster() -> SmallCluster:
    cluster = SmallCluster()
    for number in range(2):
        cluster.put_node(make_node(f"node-{number}", spec=NodeSpec(labels={"disk": "ssd"})))
    return cluster


def relabel(cluster: SmallCluster, node_id: str, availability: Availability = Availability.ACTIVE) -> None:
    cluster.put_node(replace(cluster.node(node_id), spec=NodeSpec(availability=availability)))
    cluster.settle()


def test_ENF_01_a_label_that_goes_moves_the_tasks_that_need_it(cluster: SmallCluster) -> None:
    service = cluster.create(spec(2, placement=SSD, restart=RestartPolicy(delay=0)))
    cluster.obey()
    relabel(cluster, "node-0")
    moved = next(task for task in cluster.tasks(service.id) if task.node_id == "node-0")
    assert moved.status.state is TaskState.REJECTED
    assert "constraints" in moved.status.err
    assert [task.node_id for task in cluster.live(service.id)] == ["node-1", "node-1"]


def test_ENF_01_a_node_that_shrinks_gives_up_the_newest_tasks() -> None:
    cluster = SmallCluster()
    cluster.put_node(make_node("node-0", cpus=4))
    half = ResourceRequirements(reservations=Resources(nano_cpus=10**9))
    service = cluster.create(spec(4, resources=half, restart=RestartPolicy(delay=0)))
    cluster.obey()
    oldest = [task.id for task in cluster.live(service.id)][:2]
    cluster.put_node(make_node("node-0", cpus=2))
    cluster.settle()
    states = {task.id: task.status.state for task in cluster.tasks(service.id) if task.node_id}
    assert [states[task_id] for task_id in oldest] == [TaskState.RUNNING, TaskState.RUNNING]
    assert list(states.values()).count(TaskState.REJECTED) == 2


def test_ENF_01_a_paused_node_is_left_alone(cluster: SmallCluster) -> None:
    service = cluster.create(spec(2, placement=SSD))
    cluster.obey()
    relabel(cluster, "node-0", Availability.PAUSE)
    assert {task.status.state for task in cluster.tasks(service.id)} == {TaskState.RUNNING}


def test_ENF_02_what_counts_is_what_the_service_asks_for_now(cluster: SmallCluster) -> None:
    service = cluster.create(spec(2))
    cluster.obey()
    before = [task.id for task in cluster.tasks(service.id)]
    cluster.update(service.id, spec(2, placement=SSD))
    assert [task.id for task in cluster.tasks(service.id)] == before
    relabel(cluster, "node-0")
    assert [task.status.state for task in cluster.tasks(service.id) if task.node_id == "node-0"] == [TaskState.REJECTED]


GPUS = [GenericResource("gpu", "UUID1"), GenericResource("gpu", "UUID2")]


def using(kind: str, number: int) -> ResourceRequirements:
    return ResourceRequirements(reservations=Resources(generic=(GenericResource(kind, value=number),)))


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        (GPUS, GPUS[1:], ["UUID2"]),
        (GPUS, [*GPUS, GenericResource("gpu", "UUID3")], ["UUID1", "UUID2"]),
        (GPUS, [], []),
        (GPUS, [GenericResource("gpu", value=2)], []),
        ([GenericResource("gpu", value=2)], [GenericResource("gpu", value=1)], [""]),
        ([GenericResource("gpu", value=2)], GPUS, []),
    ],
)
def test_ENF_03_a_generic_resource_that_goes_takes_its_users_with_it(
    before: list[GenericResource], after: list[GenericResource], kept: list[str]
) -> None:
    cluster = SmallCluster()
    cluster.put_node(make_node("node-0", generic=before))
    service = cluster.create(spec(2, resources=using("gpu", 1), restart=RestartPolicy(condition=RestartCondition.NONE)))
    cluster.obey()
    cluster.put_node(make_node("node-0", generic=after))
    cluster.settle()
    states = {task.status.state for task in cluster.tasks(service.id)}
    running = [task for task in cluster.tasks(service.id) if task.status.state is TaskState.RUNNING]
    assert sorted(task.generic[0].id for task in running) == kept
    assert states <= {TaskState.RUNNING, TaskState.REJECTED}


def test_ENF_03_a_task_that_has_completed_holds_nothing() -> None:
    cluster = SmallCluster()
    cluster.put_node(make_node("node-0", cpus=2))
    two = ResourceRequirements(reservations=Resources(nano_cpus=2 * 10**9))
    done = cluster.create(spec(None, mode=ServiceMode.REPLICATED_JOB, resources=two))
    cluster.obey()
    (task,) = cluster.tasks(done.id)
    cluster.report(task.id, TaskState.COMPLETE)
    other = cluster.create(spec(1, resources=two, name="other"))
    cluster.obey()
    relabel(cluster, "node-0")
    assert [task.status.state for task in cluster.tasks(done.id)] == [TaskState.COMPLETE]
    assert [task.status.state for task in cluster.tasks(other.id)] == [TaskState.RUNNING]
