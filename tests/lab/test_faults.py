"""What a cluster must survive: a worker's power, the leader's process, a cut cable, everybody's power at once."""

import os
import signal
import threading

import pytest

from core.errors import PyswarmError
from tests.support.lab import Cluster, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
PORT = 8080


@pytest.fixture(scope="module")
def web(cluster: Cluster) -> Cluster:
    cluster.serve("web", 4, PORT)
    return cluster


class Writer:
    """Creates empty services one after another, and remembers which were acknowledged."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.acknowledged: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            name = f"written-{number}"
            spec = {
                "Name": name,
                "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}},
                "Mode": {"Replicated": {"Replicas": 0}},
            }
            for manager in ("m1", "m2", "m3"):
                try:
                    self._cluster.api(manager).post("/services/create", spec)
                except (PyswarmError, OSError):
                    continue
                self.acknowledged.append(name)
                break


def test_RFT_01_no_acknowledged_write_is_lost_when_the_leader_is_killed(web: Cluster) -> None:
    with Writer(web) as writer:
        for _ in range(3):
            enough = len(writer.acknowledged) + 20
            wait_for("some writes", lambda enough=enough: len(writer.acknowledged) >= enough)
            leader = web.leader()
            os.kill(web.daemon(leader), signal.SIGKILL)
            before = len(writer.acknowledged)
            wait_for("writes after the leader's death", lambda before=before: len(writer.acknowledged) > before + 5)
            web.host(leader).start_daemon()
    names = {service["Spec"]["Name"] for service in web.api(web.leader()).get("/services")}
    assert set(writer.acknowledged) <= names
    web.wait_ready(5, web.leader())
    web.wait_running("web", 4, web.leader())


def test_a_workers_tasks_move_when_it_loses_its_power_and_the_node_comes_back(web: Cluster) -> None:
    w1 = web.host("w1")
    node_id = web.nodes()["w1"]["ID"]
    w1.poweroff()
    wait_for("w1 down", patiently(lambda: web.nodes()["w1"]["Status"]["State"] == "down"))
    # The tasks follow an entry later than the node.
    wait_for(
        "four running elsewhere",
        patiently(lambda: [task["NodeID"] != node_id for task in web.running("web")] == [True] * 4),
    )
    w1.boot()
    wait_for("w1 ready", patiently(lambda: web.nodes()["w1"]["Status"]["State"] == "ready"))
    assert web.nodes()["w1"]["ID"] == node_id
    wait_for("no container of an old task on w1", lambda: not web.containers("w1"))
    web.wait_running("web", 4)


def test_a_manager_that_is_cut_off_says_so_and_comes_back(web: Cluster) -> None:
    leader = web.leader()
    other = next(name for name in ("m1", "m2", "m3") if name != leader)
    web.host(leader).cut()
    wait_for("another leader", patiently(lambda: _leader_seen_by(web, other) not in ("", leader)))
    said = web.pyswarm(leader, "service", "create", "-d", "--name", "lost", "busybox", "true", check=False)
    assert "Error response from daemon" in said
    web.host(leader).mend()
    wait_for("five ready again", patiently(lambda: _count_ready(web, other) == 5))
    assert "lost" not in web.pyswarm(other, "service", "ls", "--format", "{{.Name}}").split()
    wait_for("one leader for both", patiently(lambda: _leader_seen_by(web, leader) == _leader_seen_by(web, other)))


def test_RFT_03_all_five_hosts_lose_their_power_at_once(web: Cluster) -> None:
    before = {service["Spec"]["Name"] for service in web.api("m1").get("/services")}
    ids = {name: node["ID"] for name, node in web.nodes("m1").items()}
    for host in web.hosts:
        host.poweroff()
    for host in web.hosts:
        host.boot()
    leader = web.leader()
    wait_for("five ready", patiently(lambda: _count_ready(web, leader) == 5))
    assert {service["Spec"]["Name"] for service in web.api(leader).get("/services")} == before
    assert {name: node["ID"] for name, node in web.nodes(leader).items()} == ids
    web.wait_running("web", 4, leader)
    for host in web.hosts:
        assert len(web.answers(host, PORT, 4)) == 4


def test_a_frozen_leader_is_replaced_and_obeys_when_it_thaws(web: Cluster) -> None:
    leader = web.leader()
    other = next(name for name in ("m1", "m2", "m3") if name != leader)
    web.host(leader).freeze()
    wait_for("another leader", patiently(lambda: _leader_seen_by(web, other) not in ("", leader)))
    wait_for("the others ready", patiently(lambda: _count_ready(web, other) == 4))
    web.pyswarm(other, "service", "create", "-d", "--name", "meanwhile", "--replicas", "0", "busybox", "true")
    web.host(leader).thaw()
    wait_for("five ready", patiently(lambda: _count_ready(web, other) == 5))
    assert "meanwhile" in web.pyswarm(leader, "service", "ls", "--format", "{{.Name}}").split()


def _leader_seen_by(cluster: Cluster, name: str) -> str:
    for host, node in cluster.nodes(name).items():
        if (node.get("ManagerStatus") or {}).get("Leader"):
            return host
    return ""


def _count_ready(cluster: Cluster, name: str) -> int:
    return sum(node["Status"]["State"] == "ready" for node in cluster.nodes(name).values())
