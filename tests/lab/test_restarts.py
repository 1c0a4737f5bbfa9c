"""Nodes that go and come back, and one that cannot come in: who else notices, and what is left."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.lab import Cluster, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
_COMPLAINT = "the manager on this node cannot run"


def test_INT_01_nobody_but_the_dead_leader_goes_down(cluster: Cluster) -> None:
    old = cluster.leader()
    other = next(name for name in ("m1", "m2", "m3") if name != old)
    went_down: set[str] = set()

    def settled() -> bool:
        nodes = cluster.nodes(other)
        went_down.update(name for name, node in nodes.items() if node["Status"]["State"] == "down")
        return sum(node["Status"]["State"] == "ready" for node in nodes.values()) == 4

    os.kill(cluster.daemon(old), signal.SIGKILL)
    wait_for("the dead leader seen as down", patiently(lambda: settled() and bool(went_down)))
    cluster.host(old).start_daemon()
    cluster.wait_ready(5, other)
    assert went_down == {old}


def test_INT_02_a_node_that_stops_is_down_and_comes_back_as_itself(cluster: Cluster) -> None:
    w1, before = cluster.host("w1"), cluster.nodes(cluster.leader())["w1"]["ID"]
    cluster.stop_daemon("w1")
    leader = cluster.leader()
    wait_for("w1 down", patiently(lambda: cluster.nodes(leader)["w1"]["Status"]["State"] == "down"))
    w1.start_daemon()
    cluster.wait_ready(5, leader)
    assert cluster.nodes(leader)["w1"]["ID"] == before


def test_INT_03_a_manager_whose_port_is_taken_says_so_and_serves_once_it_is_free(cluster: Cluster) -> None:
    name = next(name for name in ("m1", "m2", "m3") if name != cluster.leader())
    host = cluster.host(name)
    os.kill(cluster.daemon(name), signal.SIGTERM)
    wait_for("the daemon gone", lambda: not any(" daemon" in c for c in host.processes().values()))
    hold = "import socket, time; held = socket.create_server(('', 2377)); time.sleep(600)"
    with subprocess.Popen(host.command(sys.executable, "-c", hold)) as holder:
        try:
            wait_for("the port taken", lambda: any(hold in command for command in host.processes().values()))
            host.start_daemon()
            wait_for("a reason", lambda: _COMPLAINT in cluster.pyswarm(name, "info", check=False))
        finally:
            for pid, command in host.processes().items():
                if hold in command:
                    os.kill(pid, signal.SIGKILL)
            holder.wait()
    wait_for("a manager that answers", patiently(lambda: len(cluster.nodes(name)) == 5))


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
