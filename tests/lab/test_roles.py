"""Nodes that change: drained, promoted, demoted, removed, leaving, without an engine."""

import pytest

from tests.support.lab import Cluster, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def web(cluster: Cluster) -> Cluster:
    cluster.serve("web", 5, 8080)
    return cluster


def test_drain_moves_the_tasks_and_active_lets_new_ones_in(web: Cluster) -> None:
    node_id = web.nodes()["w1"]["ID"]
    web.pyswarm("m1", "node", "update", "--availability", "drain", "w1")
    wait_for("w1 empty", patiently(lambda: node_id not in {task["NodeID"] for task in web.running("web")}))
    web.wait_running("web", 5)
    wait_for("no containers on w1", lambda: not web.containers("w1"))
    web.pyswarm("m1", "node", "update", "--availability", "active", "w1")
    web.pyswarm("m1", "service", "scale", "web=6")
    assert node_id in {task["NodeID"] for task in web.wait_running("web", 6)}


def test_ROL_01_promote_and_demote_end_in_a_consistent_list(web: Cluster) -> None:
    web.pyswarm("m1", "node", "promote", "w2")
    wait_for("w2 a manager", patiently(lambda: _is_manager(web, "w2", "m1")))
    wait_for("w2 answers as one", patiently(lambda: "w2" in web.pyswarm("w2", "node", "ls")))
    web.pyswarm("m1", "node", "demote", "w2")
    wait_for("w2 a worker", patiently(lambda: not web.nodes()["w2"].get("ManagerStatus")))
    wait_for("w2 answers as a worker", lambda: "not a swarm manager" in web.pyswarm("w2", "node", "ls", check=False))
    web.wait_ready(5)


def test_ROL_01_the_leader_can_be_demoted_and_promoted_back(web: Cluster) -> None:
    leader = web.leader()
    other = next(name for name in ("m1", "m2", "m3") if name != leader)
    web.pyswarm(other, "node", "demote", leader)
    wait_for("a worker", patiently(lambda: not web.nodes(other)[leader].get("ManagerStatus")))
    web.pyswarm(other, "node", "promote", leader)
    wait_for(
        "a manager",
        patiently(lambda: _is_manager(web, leader, other)),
    )
    web.wait_ready(5, other)


def test_ROL_02_removing_a_node_that_is_up_or_a_manager_is_refused(web: Cluster) -> None:
    assert "is not down" in web.pyswarm("m1", "node", "rm", "w2", check=False)
    assert "must be demoted" in web.pyswarm("m1", "node", "rm", "m3", check=False)


def test_a_node_that_left_is_down_then_removed_and_may_join_again(web: Cluster) -> None:
    old = web.nodes()["w2"]["ID"]
    assert "Node left the swarm" in web.pyswarm("w2", "leave")
    assert web.containers("w2") == []
    wait_for("w2 down", patiently(lambda: web.nodes()["w2"]["Status"]["State"] == "down"))
    web.pyswarm("m1", "node", "rm", old)
    web.join("w2", "worker")
    web.wait_ready(5)
    assert web.nodes()["w2"]["ID"] != old


def test_CA_10_a_node_removed_by_force_can_do_nothing_any_more(web: Cluster) -> None:
    old = web.nodes()["w2"]["ID"]
    web.pyswarm("m1", "node", "rm", "--force", "w2")
    assert "w2" not in web.nodes()
    wait_for("w2 says why", lambda: "removed" in web.pyswarm("w2", "info"))
    web.pyswarm("w2", "leave", "--force")
    web.join("w2", "worker")
    web.wait_ready(5)
    assert web.nodes()["w2"]["ID"] != old


def test_a_node_without_an_engine_joins_says_so_and_takes_no_tasks(web: Cluster) -> None:
    web.pyswarm("w2", "leave")
    w2 = web.host("w2")
    w2.run("sh", "-c", "kill $(pidof dockerd)")
    web.join("w2", "worker")
    node = wait_for(
        "w2's trouble",
        patiently(lambda: next((n for n in web.nodes().values() if "ngine" in n["Status"].get("Message", "")), None)),
    )
    assert node["Status"]["State"] == "down"
    web.pyswarm("m1", "service", "scale", "web=9")
    assert node["ID"] not in {task["NodeID"] for task in web.wait_running("web", 9)}


def test_a_manager_leaves_only_by_force(web: Cluster) -> None:
    said = web.pyswarm("m2", "leave", check=False)
    assert "--force" in said
    web.pyswarm("m2", "leave", "--force")
    assert web.containers("m2") == []
    wait_for("m2 down", patiently(lambda: web.nodes("m3")["m2"]["Status"]["State"] == "down"))


def _is_manager(cluster: Cluster, name: str, seen_by: str) -> bool:
    return (cluster.nodes(seen_by)[name].get("ManagerStatus") or {}).get("Reachability") == "reachable"
