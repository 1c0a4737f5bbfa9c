"""Managers on real hosts whose network fails one way only, or whose log is damaged: what the commands say, and do."""

import os
import re
import signal
import time

import pytest

from tests.support.lab import Cluster, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
MANAGERS = ("m1", "m2", "m3")
LOG = "/var/lib/pyswarm/raft"
SEVERAL_ELECTIONS = 5.0


def create_empty(cluster: Cluster, manager: str, service: str) -> None:
    cluster.pyswarm(manager, "service", "create", "-d", "--name", service, "--replicas", "0", "busybox", "true")


def leader_seen_by(cluster: Cluster, manager: str) -> str:
    status = {name: node.get("ManagerStatus") or {} for name, node in cluster.nodes(manager).items()}
    return next((name for name in status if status[name].get("Leader")), "")


def reachable(cluster: Cluster, manager: str) -> int:
    nodes = cluster.nodes(manager).values()
    return sum((node.get("ManagerStatus") or {}).get("Reachability") == "reachable" for node in nodes)


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_leader_that_only_hears_or_only_speaks_is_replaced_and_obeys(cluster: Cluster, direction: str) -> None:
    old = cluster.leader()
    other = next(name for name in MANAGERS if name != old)
    cluster.dev("cut", old, "--only", direction)
    new = wait_for("another leader", patiently(lambda: (seen := leader_seen_by(cluster, other)) != old and seen))
    create_empty(cluster, other, f"meanwhile-{direction}")
    said = cluster.pyswarm(old, "service", "create", "-d", "--name", f"lost-{direction}", "busybox", check=False)
    assert re.search(r"quorum|leader|may (still be|have been) made", said), said
    cluster.dev("mend", old)
    wait_for("three reachable managers", patiently(lambda: reachable(cluster, other) == 3))
    wait_for("the same leader everywhere", patiently(lambda: {leader_seen_by(cluster, m) for m in MANAGERS} == {new}))
    services = cluster.pyswarm(old, "service", "ls", "--format", "{{.Name}}").split()
    assert f"meanwhile-{direction}" in services


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_manager_that_only_hears_or_only_speaks_deposes_nobody(cluster: Cluster, direction: str) -> None:
    leader, victim = cluster.leader(), cluster.follower()
    cluster.dev("cut", victim, "--only", direction)
    wait_for("it is missed", patiently(lambda: reachable(cluster, leader) == 2))
    time.sleep(SEVERAL_ELECTIONS)
    create_empty(cluster, leader, f"without-{direction}")
    cluster.dev("mend", victim)
    wait_for("three reachable managers", patiently(lambda: reachable(cluster, leader) == 3))
    assert f"without-{direction}" in cluster.pyswarm(victim, "service", "ls", "--format", "{{.Name}}").split()


def test_the_last_of_three_says_at_once_how_many_can_be_reached(cluster: Cluster) -> None:
    """No connection breaks when the others lose their power, and the one that led can tell nobody."""
    survivor = cluster.follower()
    others = [cluster.host(name) for name in MANAGERS if name != survivor]
    for host in others:
        host.poweroff()
    said = cluster.pyswarm(survivor, "service", "create", "-d", "--name", "too-late", "busybox", check=False)
    assert "1 of 3 managers can be reached and 2 are needed" in said, said
    for host in others:
        host.boot()
    wait_for("three reachable managers", patiently(lambda: reachable(cluster, survivor) == 3))
    create_empty(cluster, survivor, "in-time")
    assert "too-late" not in cluster.pyswarm(survivor, "service", "ls", "--format", "{{.Name}}")


def test_S8_a_manager_whose_log_is_damaged_says_where_and_what_to_do_and_that_mends_it(cluster: Cluster) -> None:
    leader, victim = cluster.leader(), cluster.follower()
    node_id = cluster.nodes(leader)[victim]["ID"]
    host = cluster.host(victim)
    os.kill(cluster.daemon(victim), signal.SIGKILL)
    wait_for("the daemon gone", lambda: not any(" daemon" in c for c in host.processes().values()))
    path = max(host.path(LOG).glob("*.wal"), key=lambda file: file.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    host.start_daemon()
    said = wait_for("the reason", lambda: cluster.error(victim))
    assert re.search(rf"{LOG}/{path.name}: a record is damaged at byte \d+\. This manager does not start with it", said)
    for command in (f"pyswarm node demote {node_id}", f"pyswarm node promote {node_id}"):
        assert f"`{command}`" in said
        cluster.pyswarm(leader, *command.split()[1:])
    wait_for("three reachable managers", patiently(lambda: reachable(cluster, leader) == 3))
    create_empty(cluster, victim, "after-the-repair")
    assert not cluster.error(victim)
