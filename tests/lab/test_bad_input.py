"""What a node is given that it must not believe, or cannot work with: a damaged log, another cluster's state, a full
disk. Each is said where the user looks, with what to do; the others go on, and the node's containers stay."""

import shutil
import threading
import time
from pathlib import Path

import pytest

from core.errors import PyswarmError
from raft.storage.frame import frame
from tests.support.lab import PATIENT, SILENCE, Cluster, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
PORT = 8080
TASKS = 5
STATE = "/var/lib/pyswarm"


@pytest.fixture(scope="module")
def web(hosts: Cluster) -> Cluster:
    """Each manager's state folder is a small disk of its own."""
    for name in ("m1", "m2", "m3"):
        hosts.host(name).run("mount", "-t", "tmpfs", "-o", "size=40m,mode=700", "tmpfs", STATE)
    hosts.form(*PATIENT)
    hosts.serve("web", TASKS, PORT)
    return hosts


@pytest.fixture(scope="module")
def stranger(web: Cluster) -> Cluster:
    """w2 is a cluster of its own."""
    web.pyswarm("w2", "leave")
    web.pyswarm(web.leader(), "node", "rm", "--force", "w2")
    web.init("w2")
    return web


def test_a_manager_whose_log_is_damaged_says_so_and_is_mended_as_it_says(web: Cluster) -> None:
    victim, other = web.follower(), web.leader()
    node_id, before = web.nodes(other)[victim]["ID"], _at_rest(web, victim)
    web.stop_daemon(victim)
    damaged = max(_raft(web, victim).glob("*.wal"), key=lambda path: path.stat().st_size)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    web.host(victim).start_daemon()

    web.wait_for_error(victim, f"cannot run: {STATE}/raft/{damaged.name}: a record is damaged at byte")
    for command in (("node", "ls"), ("service", "ls"), ("service", "create", "busybox"), ("join-token", "worker")):
        said = web.pyswarm(victim, *command, check=False)
        assert "a record is damaged at byte" in said
        assert f"on one of them run `pyswarm node demote {node_id}`" in said
    assert "a record is damaged at byte" in web.host(victim).path("/var/log/pyswarm.log").read_text()
    assert damaged.read_bytes() == content
    wait_for("unreachable", patiently(lambda: _manager_status(web, victim, other) == "unreachable"))
    wait_for("a worker still", patiently(lambda: web.nodes(other)[victim]["Status"]["State"] == "ready"))
    assert web.containers(victim) == before
    web.pyswarm(other, "service", "create", "-d", "--name", "meanwhile", "--replicas", "0", "busybox")

    web.pyswarm(other, "node", "demote", node_id)
    web.pyswarm(other, "node", "promote", node_id)
    wait_for("a manager again", patiently(lambda: "meanwhile" in web.pyswarm(victim, "service", "ls")))
    assert not web.error(victim)
    assert web.containers(victim) == before


def test_a_torn_last_record_is_cut_away_and_the_manager_goes_on(web: Cluster) -> None:
    victim, other = web.follower(), web.leader()
    web.stop_daemon(victim)
    torn = max(_raft(web, victim).glob("*.wal"))
    size = torn.stat().st_size
    with torn.open("ab") as file:
        file.write(frame(bytes(range(200)))[:100])
    web.host(victim).start_daemon()
    wait_for("a manager again", patiently(lambda: _manager_status(web, victim, other) == "reachable"))
    wait_for("its answer", patiently(lambda: "web" in web.pyswarm(victim, "service", "ls")))
    assert torn.stat().st_size == size


def test_a_leader_whose_disk_is_full_stops_leading_and_loses_nothing(web: Cluster) -> None:
    leader = web.leader()
    host, before = web.host(leader), _at_rest(web, leader)
    acknowledged: list[str] = []
    done = threading.Event()
    writing = threading.Thread(target=_write, args=(web, acknowledged, done))
    writing.start()
    try:
        wait_for("some writes", lambda: len(acknowledged) > 10)
        host.run("sh", "-c", f"cat /dev/zero > {STATE}/filler; true")
        web.wait_for_error(leader, "No space left on device")
        count = len(acknowledged)
        wait_for("writes without it", lambda: len(acknowledged) > count + 10)
    finally:
        done.set()
        writing.join()
    other = wait_for("another leader", lambda: name if (name := web.leader()) != leader else "")
    assert set(acknowledged) <= {service["Spec"]["Name"] for service in web.api(other).get("/services")}
    said = web.pyswarm(leader, "node", "ls", check=False)
    assert "This node cannot answer for its swarm: the manager on this node" in said
    assert "make room" in said
    wait_for("unreachable", patiently(lambda: _manager_status(web, leader, other) == "unreachable"))
    wait_for("a worker still", patiently(lambda: web.nodes(other)[leader]["Status"]["State"] == "ready"))
    assert set(before) <= set(web.containers(leader))

    web.stop_daemon(leader)
    host.start_daemon()
    web.wait_for_error(leader, "No space left on device")
    wait_for("a worker still", patiently(lambda: web.nodes(other)[leader]["Status"]["State"] == "ready"))
    assert set(before) <= set(web.containers(leader))

    host.run("rm", f"{STATE}/filler")
    wait_for("a manager again", patiently(lambda: acknowledged[-1] in web.pyswarm(leader, "service", "ls")))
    wait_for("no error", lambda: not web.error(leader))


def test_the_log_of_another_cluster_is_refused_and_moved_away_as_it_says(stranger: Cluster) -> None:
    victim, other = stranger.follower(), stranger.leader()
    theirs, ours = (stranger.api(name).get("/swarm")["ID"] for name in ("w2", other))
    node_id, before = stranger.nodes(other)[victim]["ID"], _at_rest(stranger, victim)
    stranger.stop_daemon(victim)
    raft = _raft(stranger, victim)
    shutil.rmtree(raft)
    shutil.copytree(_raft(stranger, "w2"), raft)
    stranger.host(victim).start_daemon()
    complaint = f"{STATE}/raft holds the log of cluster {theirs}, but this is cluster {ours}"
    stranger.wait_for_error(victim, complaint)
    said = stranger.pyswarm(victim, "node", "ls", check=False)
    assert complaint in said
    assert f"if it is lost, move {STATE}/raft away, and on another manager run `pyswarm node demote {node_id}`" in said
    assert stranger.containers(victim) == before

    stranger.host(victim).run("mv", f"{STATE}/raft", "/run/theirs")
    stranger.wait_for_error(victim, "its own was lost; demote it, then promote it again")
    stranger.pyswarm(other, "node", "demote", node_id)
    stranger.pyswarm(other, "node", "promote", node_id)
    wait_for("a manager again", patiently(lambda: _manager_status(stranger, victim, other) == "reachable"))
    wait_for("no error", lambda: not stranger.error(victim))
    assert stranger.containers(victim) == before


def test_a_node_among_the_managers_of_another_cluster_says_so(stranger: Cluster) -> None:
    leader, before = stranger.leader(), _at_rest(stranger, "w1")
    stranger.stop_daemon("w1")
    state = stranger.host("w1").path(STATE)
    kept = (state / "node.json").read_text()
    known = stranger.host("m1").address
    assert known in kept
    (state / "node.json").write_text(kept.replace(known, stranger.host("w2").address))
    for remembered in state.glob("worker.db*"):
        remembered.unlink()
    stranger.host("w1").start_daemon()
    there = f"{stranger.host('w2').address}:2377"
    complaint = "whoever answers there does not prove to be a manager of this node's cluster"
    stranger.wait_for_error("w1", f"{there}: {complaint}")
    assert "`pyswarm leave --force` and join again" in stranger.error("w1")
    assert stranger.containers("w1") == before
    assert {node["Description"]["Hostname"] for node in stranger.api("w2").get("/nodes")} == {"w2"}
    stranger.stop_daemon("w1")
    (state / "node.json").write_text(kept)
    stranger.host("w1").start_daemon()
    stranger.wait_ready(4, leader)
    wait_for("no error", lambda: not stranger.error("w1"))


def _at_rest(cluster: Cluster, name: str) -> list[str]:
    """The host's containers, once all tasks run and it has no other: the test before may have had some moved."""
    leader = cluster.leader()
    node_id = cluster.nodes(leader)[name]["ID"]

    def settled() -> tuple[list[str]] | None:
        tasks, found = cluster.running("web", leader), cluster.containers(name)
        mine = {task["Status"]["ContainerStatus"]["ContainerID"] for task in tasks if task["NodeID"] == node_id}
        return (found,) if len(tasks) == TASKS and set(found) == mine else None

    def stays() -> list[str] | None:
        """Past the time at which a node that has not come back yet would be given up, and its tasks moved."""
        found = wait_for("rest", patiently(settled))
        time.sleep(SILENCE)
        return found if patiently(settled)() == found else None

    return wait_for("lasting rest", stays)[0]


def _raft(cluster: Cluster, name: str) -> Path:
    return cluster.host(name).path(f"{STATE}/raft")


def _manager_status(cluster: Cluster, name: str, seen_by: str) -> str:
    status = cluster.nodes(seen_by)[name].get("ManagerStatus") or {}
    return str(status.get("Reachability", ""))


def _write(cluster: Cluster, acknowledged: list[str], done: threading.Event) -> None:
    """Creates empty services through whichever manager takes them, and notes which were acknowledged."""
    number = 0
    while not done.is_set():
        number += 1
        spec = {
            "Name": f"written-{number}",
            "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}},
            "Mode": {"Replicated": {"Replicas": 0}},
        }
        for manager in ("m1", "m2", "m3"):
            try:
                cluster.api(manager).post("/services/create", spec)
            except (PyswarmError, OSError):
                continue
            acknowledged.append(str(spec["Name"]))
            break
