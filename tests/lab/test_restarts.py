"""Nodes that go and come back, and one that cannot come in: who else notices, and what is left."""

import os
import signal

import pytest

from tests.support.lab import Cluster, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def test_INT_02_a_node_that_stops_is_down_and_comes_back_as_itself(cluster: Cluster) -> None:
    w1, before = cluster.host("w1"), cluster.nodes(cluster.leader())["w1"]["ID"]
    os.kill(cluster.daemon("w1"), signal.SIGTERM)
    leader = cluster.leader()
    wait_for("w1 down", patiently(lambda: cluster.nodes(leader)["w1"]["Status"]["State"] == "down"))
    w1.start_daemon()
    cluster.wait_ready(5, leader)
    assert cluster.nodes(leader)["w1"]["ID"] == before


def test_a_manager_that_cannot_be_dialled_back_is_refused_and_leaves_no_trace(cluster: Cluster) -> None:
    leader = cluster.leader()
    cluster.pyswarm("w2", "leave")
    wait_for("w2 down", patiently(lambda: cluster.nodes(leader)["w2"]["Status"]["State"] == "down"))
    cluster.pyswarm(leader, "node", "rm", "w2")
    token = cluster.token("manager", leader).encode()
    to = f"{cluster.host(leader).address}:2377"
    said = cluster.pyswarm(
        "w2", "join", "--advertise-addr", "203.0.113.9", "--token", "-", to, input=token, check=False
    )
    assert "203.0.113.9:2377" in said
    assert "advertise an address that the other managers can reach" in said
    assert len(cluster.api(leader).get("/nodes")) == 4
    assert "Swarm: inactive" in cluster.pyswarm("w2", "info")
    cluster.join("w2", "worker", leader)
    cluster.wait_ready(5, leader)
