"""Global services: one task on every node that may have it."""

from collections import Counter
from dataclasses import replace

import pytest

from core.model import (
    Availability,
    Node,
    NodeSpec,
    NodeState,
    Placement,
    RestartCondition,
    RestartPolicy,
    ServiceMode,
    Task,
    TaskState,
    UpdateConfig,
    UpdateState,
)
from tests.support.small_cluster import SmallCluster, spec
from tests.support.stage import make_node

GLOBAL = ServiceMode.GLOBAL


@pytest.fixture
def cluster() -> SmallCluster:
    return SmallCluster(nodes=3)


def where(cluster: SmallCluster, service_id: str) -> Counter[str]:
    return Counter(task.node_id for task in cluster.live(service_id))


def set_availability(cluster: SmallCluster, node_id: str, availability: Availability) -> None:
    node = cluster.node(node_id)
    cluster.put_node(replace(node, spec=replace(node.spec, availability=availability)))
    cluster.settle()


def set_state(cluster: SmallCluster, node_id: str, state: NodeState) -> None:
    node = cluster.node(node_id)
    cluster.put_node(replace(node, status=replace(node.status, state=state)))
    cluster.settle()


def test_GLB_01_every_eligible_node_has_one_task(cluster: SmallCluster) -> None:
    set_availability(cluster, "node-1", Availability.DRAIN)
    service = cluster.create(spec(mode=GLOBAL))
    cluster.obey()
    assert where(cluster, service.id) == {"node-0": 1, "node-2": 1}


def test_GLB_01_a_new_node_gets_a_task_of_every_global_service(cluster: SmallCluster) -> None:
    services = [cluster.create(spec(mode=GLOBAL, name=name)) for name in ("a", "b")]
    cluster.put_node(make_node("node-9"))
    cluster.settle()
    cluster.obey()
    for service in services:
        assert where(cluster, service.id)["node-9"] == 1


def test_GLB_01_constraints_decide_which_nodes(cluster: SmallCluster) -> None:
    cluster.put_node(make_node("ssd", spec=NodeSpec(labels={"disk": "ssd"})))
    service = cluster.create(spec(mode=GLOBAL, placement=Placement(("node.labels.disk==ssd",))))
    cluster.obey()
    assert where(cluster, service.id) == {"ssd": 1}
    node = cluster.node("node-0")
    cluster.put_node(replace(node, spec=replace(node.spec, labels={"disk": "ssd"})))
    cluster.settle()
    assert where(cluster, service.id) == {"ssd": 1, "node-0": 1}
    cluster.put_node(replace(cluster.node("ssd"), spec=NodeSpec()))
    cluster.settle()
    assert where(cluster, service.id) == {"node-0": 1}


@pytest.mark.parametrize("how", ["drain", "down"])
def test_GLB_02_a_node_that_is_away_has_no_task_until_it_is_back(cluster: SmallCluster, how: str) -> None:
    service = cluster.create(spec(mode=GLOBAL))
    cluster.obey()
    if how == "drain":
        set_availability(cluster, "node-1", Availability.DRAIN)
    else:
        set_state(cluster, "node-1", NodeState.DOWN)
    assert where(cluster, service.id) == {"node-0": 1, "node-2": 1}
    cluster.update(service.id, spec(mode=GLOBAL, image="other"))
    assert where(cluster, service.id)["node-1"] == 0
    set_availability(cluster, "node-1", Availability.ACTIVE)
    set_state(cluster, "node-1", NodeState.READY)
    cluster.obey()
    cluster.wait(10)
    cluster.obey()
    assert where(cluster, service.id) == {"node-0": 1, "node-1": 1, "node-2": 1}
    assert {task.spec.container.image for task in cluster.live(service.id)} == {"other"}


def test_GLB_02_a_task_comes_back_only_when_the_old_one_has_stopped(cluster: SmallCluster) -> None:
    service = cluster.create(spec(mode=GLOBAL))
    cluster.obey()
    set_state(cluster, "node-1", NodeState.DOWN)
    set_state(cluster, "node-1", NodeState.READY)
    (new,) = cluster.store.tasks_of_slot(service.id, "node-1")[1:]
    assert new.desired_state is TaskState.READY
    cluster.obey()
    assert [task.node_id for task in cluster.running(service.id)].count("node-1") == 1


def test_GLB_02_a_paused_node_keeps_its_task_but_gets_no_other(cluster: SmallCluster) -> None:
    service = cluster.create(spec(mode=GLOBAL, restart=RestartPolicy(delay=0)))
    cluster.obey()
    set_availability(cluster, "node-1", Availability.PAUSE)
    assert where(cluster, service.id)["node-1"] == 1
    (task,) = cluster.store.tasks_of_slot(service.id, "node-1")
    cluster.report(task.id, TaskState.FAILED)
    cluster.wait(60)
    assert where(cluster, service.id)["node-1"] == 0
    set_availability(cluster, "node-1", Availability.ACTIVE)
    assert where(cluster, service.id)["node-1"] == 1


def test_a_node_that_was_paused_is_updated_when_it_is_active_again(cluster: SmallCluster) -> None:
    service = cluster.create(spec(mode=GLOBAL))
    cluster.obey()
    set_availability(cluster, "node-1", Availability.PAUSE)
    cluster.update(service.id, spec(mode=GLOBAL, image="other"))
    for _ in range(5):
        cluster.obey()
    images = {task.node_id: task.spec.container.image for task in cluster.live(service.id)}
    assert images == {"node-0": "other", "node-1": "busybox", "node-2": "other"}
    set_availability(cluster, "node-1", Availability.ACTIVE)
    cluster.obey()
    assert {task.spec.container.image for task in cluster.live(service.id)} == {"other"}


def test_the_update_goes_on_under_a_new_leader_that_has_not_heard_of_the_nodes_yet(cluster: SmallCluster) -> None:
    service = cluster.create(replace(spec(mode=GLOBAL), update=UpdateConfig(parallelism=1)))
    cluster.obey()
    cluster.update(service.id, replace(service.spec, task=replace(service.spec.task, force_update=1)))
    assert len(cluster.tasks(service.id)) == 4
    cluster.change_leader()
    for number in range(3):
        set_state(cluster, f"node-{number}", NodeState.UNKNOWN)
    status = cluster.service(service.id).update_status
    assert status is not None
    assert status.state is UpdateState.UPDATING, "nothing is completed by silence"
    for number in (2, 1, 0):
        set_state(cluster, f"node-{number}", NodeState.READY)
    assert len(cluster.tasks(service.id)) == 4, "one moves already"
    cluster.obey()
    assert {task.spec.force_update for task in cluster.live(service.id)} == {1}


def test_GLB_04_a_failing_service_never_touches_another(cluster: SmallCluster) -> None:
    bad = cluster.create(spec(mode=GLOBAL, name="bad", restart=RestartPolicy(delay=0, max_attempts=2)))
    good = cluster.create(spec(mode=GLOBAL, name="good"))
    cluster.obey()
    before = [task.id for task in cluster.tasks(good.id)]
    for _ in range(3):
        for task in cluster.live(bad.id):
            cluster.report(task.id, TaskState.FAILED)
        cluster.obey()
    assert not cluster.live(bad.id)
    assert [task.id for task in cluster.tasks(good.id)] == before
    assert len(cluster.running(good.id)) == 3


def test_nothing_is_kept_of_a_node_that_was_removed(cluster: SmallCluster) -> None:
    service = cluster.create(spec(mode=GLOBAL))
    cluster.obey()
    cluster.write(lambda tx: tx.delete(Node, "node-1"))
    cluster.settle()
    assert [task.node_id for task in cluster.tasks(service.id)] == ["node-0", "node-2"]


def test_GLB_03_a_new_leader_reduces_two_tasks_of_a_node_to_one(cluster: SmallCluster) -> None:
    service = cluster.create(spec(mode=GLOBAL, restart=RestartPolicy(RestartCondition.NONE)))
    cluster.obey()
    (task,) = cluster.store.tasks_of_slot(service.id, "node-1")
    cluster.write(lambda tx: tx.create(replace(task, id="twin")))
    cluster.change_leader()
    cluster.settle()
    assert where(cluster, service.id) == {"node-0": 1, "node-1": 1, "node-2": 1}
    assert Counter(task.node_id for task in cluster.tasks(service.id))["node-1"] == 2


def test_GLB_05_a_task_that_is_taken_away_comes_back_with_the_next_look_at_its_service(cluster: SmallCluster) -> None:
    service = cluster.create(spec(mode=GLOBAL))
    cluster.obey()
    (task,) = cluster.store.tasks_of_slot(service.id, "node-1")
    cluster.write(lambda tx: tx.delete(Task, task.id))
    cluster.wait(60)
    assert where(cluster, service.id) == {"node-0": 1, "node-2": 1}
    cluster.update(service.id, replace(service.spec, labels={"looked": "at"}))
    assert where(cluster, service.id) == {"node-0": 1, "node-1": 1, "node-2": 1}


def test_a_service_of_many_nodes_is_made_in_many_small_turns() -> None:
    cluster = SmallCluster(nodes=1_200)
    service = cluster.create(spec(mode=GLOBAL))
    assert len(where(cluster, service.id)) == 1_200
    assert all(isinstance(task, Task) for task in cluster.live(service.id))
