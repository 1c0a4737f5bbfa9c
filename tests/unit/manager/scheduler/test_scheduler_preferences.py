"""Spreading over labels."""

from collections import Counter

from core.model import NodeSpec
from tests.support.scheduling import Scheduling
from tests.support.stage import make_node

ZONE, RACK = "node.labels.az", "node.labels.rack"


def by_label(stage: Scheduling, service_id: str, *labels: str) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for node_id, tasks in stage.where(service_id).items():
        node = stage.tx.node(node_id)
        found[tuple(node.spec.labels.get(label, "") for label in labels)] += tasks
    return found


def put_nodes(stage: Scheduling, count: int, memory: int = 8 << 30, **labels: str) -> None:
    for _ in range(count):
        stage.put(make_node(f"node{stage.writes()}", memory=memory, spec=NodeSpec(labels=labels)))


def test_SCH_05_tasks_are_equal_per_value_and_no_value_is_one_more_group():
    stage = Scheduling()
    put_nodes(stage, 1, az="az1")
    put_nodes(stage, 2, az="az2")
    put_nodes(stage, 3)
    stage.waiting("a", 12, preferences=[ZONE])
    stage.run()
    assert by_label(stage, "a", "az") == {("az1",): 4, ("az2",): 4, ("",): 4}
    assert sorted(stage.where("a").values()) == [1, 1, 2, 2, 2, 4]


def test_SCH_05_what_runs_already_counts():
    stage = Scheduling()
    put_nodes(stage, 3, az="az1")
    stage.waiting("a", 3, preferences=[ZONE])
    stage.run()
    put_nodes(stage, 1, az="az2")
    stage.waiting("a", 5, preferences=[ZONE])
    stage.run()
    assert by_label(stage, "a", "az") == {("az1",): 4, ("az2",): 4}


def test_SCH_06_nested_and_what_one_zone_cannot_hold_goes_over_the_racks_of_the_other():
    stage = Scheduling()
    put_nodes(stage, 1, memory=1 << 30, az="az1", rack="r1")
    put_nodes(stage, 1, memory=1 << 30, az="az1", rack="r2")
    put_nodes(stage, 1, az="az2", rack="r3")
    put_nodes(stage, 3, az="az2", rack="r4")
    stage.waiting("a", 10, preferences=[ZONE, RACK], memory=1 << 30)
    stage.run()
    assert by_label(stage, "a", "az", "rack") == {
        ("az1", "r1"): 1,
        ("az1", "r2"): 1,
        ("az2", "r3"): 4,
        ("az2", "r4"): 4,
    }


def test_SCH_07_scaling_up_where_some_branches_hold_tasks_ends_and_levels():
    stage = Scheduling(max_tasks=2)
    put_nodes(stage, 2, az="az1", rack="r1")
    stage.waiting("a", 5, preferences=[ZONE, RACK])
    stage.run()
    put_nodes(stage, 1, az="az1", rack="r2")
    put_nodes(stage, 1, az="az2", rack="r1")
    stage.waiting("a", 5, preferences=[ZONE, RACK])
    stage.run()
    assert by_label(stage, "a", "az", "rack") == {("az1", "r1"): 5, ("az2", "r1"): 5}
    stage.waiting("a", 6, preferences=[ZONE, RACK])
    stage.run()
    assert by_label(stage, "a", "az", "rack") == {("az1", "r1"): 5, ("az1", "r2"): 3, ("az2", "r1"): 8}


def test_a_waiting_task_with_preferences_says_why():
    stage = Scheduling()
    put_nodes(stage, 2, memory=1 << 30, az="az1")
    (task_id,) = stage.waiting("a", preferences=[ZONE], memory=2 << 30)
    stage.run()
    assert stage.reason(task_id) == "no suitable node (insufficient resources on 2 nodes)"


def test_SCH_05_a_suspect_node_that_is_passed_over_does_not_count_for_its_zone():
    stage = Scheduling()
    stage.put(make_node("other", spec=NodeSpec(labels={"az": "az2"})))
    stage.waiting("a", preferences=[ZONE])
    stage.run()
    for node_id in ("suspect", "neighbour"):
        stage.put(make_node(node_id, spec=NodeSpec(labels={"az": "az1"})))
    stage.run()
    stage.suspects.add("suspect")
    stage.waiting("a", preferences=[ZONE])
    stage.run()
    assert stage.where("a") == {"neighbour": 1, "other": 1}
