"""Generic resources, plugins and the limit of tasks on a node."""

from dataclasses import replace

import pytest

from core.model import BindOptions, GenericResource, Mount, MountType, NodeSpec, Plugin, TaskState, VolumeOptions
from manager.scheduler.node_info import Claim, NodeInfo
from manager.scheduler.requirements import Requirements
from tests.support.scheduling import Scheduling, waiting_task
from tests.support.stage import make_node

GPUS = [GenericResource("gpu", name) for name in ("UUID1", "UUID2", "UUID3")]
NO_ROOM = "no suitable node (insufficient resources on 1 node)"


def names(stage: Scheduling, task_id: str) -> list[str]:
    return [resource.id for resource in stage.task(task_id).generic]


def test_SCH_12_a_task_waits_for_counted_resources():
    stage = Scheduling()
    stage.put(make_node("node", generic=[GenericResource("ssd", value=3)]))
    first, second = stage.waiting("a", 2, generic={"ssd": 2})
    stage.run()
    assert stage.task(first).generic == (GenericResource("ssd", value=2),)
    assert stage.reason(second) == NO_ROOM
    stage.becomes(first, TaskState.FAILED)
    stage.run()
    assert stage.node_of(second) == "node"


def test_SCH_24_named_resources_are_handed_out_once():
    stage = Scheduling()
    stage.put(make_node("node", generic=GPUS))
    first, second = stage.waiting("a", 2, generic={"gpu": 1})
    (third,) = stage.waiting("b", generic={"gpu": 2})
    stage.run()
    assert sorted(names(stage, first) + names(stage, second)) == ["UUID1", "UUID2"]
    assert stage.reason(third) == NO_ROOM
    stage.becomes(first, TaskState.COMPLETE)
    stage.run()
    assert sorted(names(stage, second) + names(stage, third)) == ["UUID1", "UUID2", "UUID3"]


def test_SCH_24_a_task_of_a_given_node_gets_its_resources_too():
    stage = Scheduling()
    stage.put(make_node("node", generic=GPUS))
    (task_id,) = stage.waiting("global", node_id="node", generic={"gpu": 1})
    stage.run()
    assert names(stage, task_id) == ["UUID1"]


def test_SCH_24_the_next_leader_knows_what_was_handed_out():
    stage = Scheduling()
    stage.put(make_node("node", generic=GPUS))
    stage.waiting("a", 2, generic={"gpu": 1})
    stage.run()
    successor = Scheduling()
    successor.tx = stage.tx
    (task_id,) = successor.waiting("b", generic={"gpu": 1})
    successor.run()
    assert names(successor, task_id) == ["UUID3"]


@pytest.mark.parametrize(
    ("before", "after", "room"),
    [
        (GPUS, [GenericResource("gpu", value=3)], 1),
        ([GenericResource("gpu", value=3)], GPUS, 1),
        (GPUS, GPUS[:2], 0),
        (GPUS, [GenericResource("gpu", value=1)], 0),
        (GPUS, [], 0),
    ],
)
def test_SCH_24_a_node_that_counts_otherwise_than_before_has_no_more_room_than_it_should(
    before: list[GenericResource], after: list[GenericResource], room: int
):
    stage = Scheduling()
    stage.put(make_node("node", generic=before))
    stage.waiting("a", 2, generic={"gpu": 1})
    stage.run()
    stage.put(make_node("node", generic=after))
    stage.waiting("b", 2, generic={"gpu": 1})
    stage.run()
    assert stage.where("b")["node"] == room


def test_SCH_23_generic_resources_are_claimed_and_given_back_once():
    info = NodeInfo(make_node("node", generic=[*GPUS, GenericResource("ssd", value=3)]))
    free = dict(info.generic)
    claim = Claim(
        "a", Requirements(generic=(("gpu", 2), ("ssd", 1))), (*GPUS[:2], GenericResource("ssd", value=1)), True
    )
    info.hold("t", claim)
    assert info.generic == {"gpu": 1, "ssd": 2}
    assert info.hand_out([("gpu", 1)]) == (GPUS[2],)
    info.give_back("t")
    assert info.generic == free


VOLUME = Mount(MountType.VOLUME, "data", "/data", volume=VolumeOptions(driver="rexray"))


@pytest.mark.parametrize(
    ("wishes", "plugins", "fits"),
    [
        ({"mounts": [VOLUME]}, [("Volume", "local")], False),
        ({"mounts": [VOLUME]}, [("Volume", "rexray")], True),
        ({"mounts": [VOLUME]}, [("Volume", "rexray:latest")], True),
        ({"mounts": [VOLUME]}, [("Volume", "rexray:v2")], False),
        ({"mounts": [VOLUME]}, [("Network", "rexray")], False),
        ({"mounts": [Mount(MountType.VOLUME, "data", "/data")]}, [], True),
        ({"mounts": [Mount(MountType.VOLUME, "data", "/data", volume=VolumeOptions(driver="local"))]}, [], True),
        ({"mounts": [Mount(MountType.BIND, "/a", "/b", bind=BindOptions())]}, [], True),
        ({"log_driver": "splunk"}, [("Log", "json-file")], False),
        ({"log_driver": "splunk"}, [("Log", "json-file"), ("Log", "splunk")], True),
        ({"log_driver": "splunk"}, [("Volume", "local")], True),
        ({"log_driver": "none"}, [("Log", "json-file")], True),
        ({"log_driver": ""}, [("Log", "json-file")], True),
    ],
)
def test_SCH_20_named_drivers_must_be_on_the_node(wishes: dict, plugins: list[tuple[str, str]], fits: bool):
    stage = Scheduling()
    stage.put(make_node("node", plugins=[Plugin(*pair) for pair in plugins]))
    (task_id,) = stage.waiting("a", **wishes)
    stage.run()
    if fits:
        assert stage.node_of(task_id) == "node"
    else:
        assert stage.reason(task_id) == "no suitable node (missing plugin on 1 node)"


def test_SCH_22_a_node_has_no_more_active_tasks_of_a_service_than_allowed():
    stage = Scheduling()
    for number in range(2):
        stage.put(make_node(f"node{number}"))
    stage.waiting("other", 3)
    ids = stage.waiting("a", 5, max_replicas=2)
    stage.run()
    assert stage.where("a") == {"node0": 2, "node1": 2}
    (waiting,) = [task_id for task_id in ids if not stage.task(task_id).node_id]
    assert stage.reason(waiting) == "no suitable node (max replicas per node limit exceeded on 2 nodes)"
    stage.put(make_node("node2"))
    stage.run()
    assert stage.node_of(waiting) == "node2"


def test_SCH_22_a_task_that_is_to_stop_no_longer_counts():
    stage = Scheduling()
    stage.put(make_node("node"))
    first, second = stage.waiting("a", 2, max_replicas=1)
    stage.run()
    assert not stage.task(second).node_id
    stage.becomes(first, TaskState.RUNNING, TaskState.SHUTDOWN)
    stage.run()
    assert stage.node_of(second) == "node"


def test_SCH_22_another_service_has_a_limit_of_its_own():
    stage = Scheduling()
    stage.put(make_node("node"))
    stage.waiting("a", 2, max_replicas=2)
    stage.waiting("b", 2, max_replicas=2)
    stage.run()
    assert (stage.where("a"), stage.where("b")) == ({"node": 2}, {"node": 2})


def test_filters_object_in_swarms_order():
    stage = Scheduling()
    stage.put(make_node("node", spec=NodeSpec(labels={"disk": "hdd"})))
    held = waiting_task("held", "held", node_id="node", host_ports=[80])
    stage.put(replace(held, status=replace(held.status, state=TaskState.RUNNING)))
    wishes = {
        "host_ports": [80],
        "constraints": ["node.labels.disk==ssd"],
        "mounts": [VOLUME],
        "generic": {"gpu": 1},
    }
    reasons = ["host-mode port already in use", "scheduling constraints not satisfied", "missing plugin"]
    for number, reason in enumerate([*reasons, "insufficient resources"], start=1):
        (task_id,) = stage.waiting(f"s{number}", **dict(list(wishes.items())[:number]))
        stage.run()
        assert stage.reason(task_id) == f"no suitable node ({reason} on 1 node)"
