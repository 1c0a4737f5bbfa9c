"""Nodes that change under their tasks."""

from dataclasses import replace

import pytest

from core.model import (
    Availability,
    NodeSpec,
    Placement,
    ResourceRequirements,
    Resources,
    RestartPolicy,
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
