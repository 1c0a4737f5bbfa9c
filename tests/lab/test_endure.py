"""What a node must live through: a full disk, a restarted engine, a new address, being told to stop."""

import os
import signal

import pytest

from tests.support.lab import PATIENT, Cluster, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
PORT = 8080


@pytest.fixture(scope="module")
def web(hosts: Cluster) -> Cluster:
    """Formed with an interface as address, so that a node may come back at another one."""
    hosts.pyswarm("m1", "init", "--advertise-addr", "eth0", *PATIENT)
    for host in hosts.hosts[1:]:
        role = "manager" if host.name.startswith("m") else "worker"
        to = f"{hosts.host('m1').address}:2377"
        token = hosts.token(role).encode()
        hosts.pyswarm(host.name, "join", "--advertise-addr", "eth0", "--token", "-", to, input=token)
    hosts.wait_ready(5)
    hosts.serve("web", 5, PORT)
    return hosts


def test_metrics_are_served_locally(web: Cluster) -> None:
    def served() -> str:
        said = web.host("m1").run("busybox", "wget", "-qO-", "http://127.0.0.1:9377/metrics").stdout.decode()
        return said if 'swarm_manager_nodes{state="ready"} 5.0' in said else ""

    assert "swarm_raft_applied_index" in wait_for("five ready nodes", served)


def test_a_daemon_that_is_told_to_stop_leaves_containers_and_ports_alone(web: Cluster) -> None:
    before = web.containers("w1")
    os.kill(web.daemon("w1"), signal.SIGTERM)
    wait_for("the daemon gone", lambda: not any(" daemon" in c for c in web.host("w1").processes().values()))
    assert web.containers("w1") == before
    assert len(web.answers(web.host("w1"), PORT, 5)) == 5
    web.host("w1").start_daemon()
    web.wait_ready(5)
    assert web.containers("w1") == before


def test_a_restarted_engine_gets_its_tasks_again(web: Cluster) -> None:
    w2 = web.host("w2")
    engine = next(pid for pid, command in w2.processes().items() if command.startswith("dockerd"))
    os.kill(engine, signal.SIGTERM)
    wait_for("the engine gone", lambda: not any(c.startswith("dockerd") for c in w2.processes().values()))
    w2.start_engine()
    w2.wait_for_engine()
    web.wait_running("web", 5)
    wait_for("a ready node", patiently(lambda: web.nodes()["w2"]["Status"]["State"] == "ready"))


def test_a_full_disk_stops_a_manager_with_a_reason_and_it_goes_on_when_there_is_room(web: Cluster) -> None:
    victim = next(name for name in ("m1", "m2", "m3") if name != web.leader())
    host = web.host(victim)
    raft = "/var/lib/pyswarm/raft"
    os.kill(web.daemon(victim), signal.SIGTERM)
    wait_for("the daemon gone", lambda: not any(" daemon" in c for c in host.processes().values()))
    host.run("mv", raft, "/var/lib/pyswarm/kept")
    host.run("mkdir", raft)
    host.run("mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", raft)
    host.run("sh", "-c", f"cp -a /var/lib/pyswarm/kept/. {raft}/ && rm -r /var/lib/pyswarm/kept")
    host.start_daemon()
    web.wait_ready(5, web.leader())
    host.run("sh", "-c", f"dd if=/dev/zero of={raft}/filler bs=1k 2>/dev/null; true")
    leader = web.leader()
    for number in range(3):
        web.pyswarm(leader, "service", "create", "-d", "--name", f"filling-{number}", "--replicas", "0", "busybox")
    said = wait_for(
        "a reason", lambda: text if "space" in (text := web.pyswarm(victim, "info", check=False)).lower() else ""
    )
    assert "manager on this node" in said
    host.run("rm", f"{raft}/filler")
    wait_for("a manager again", lambda: "filling-2" in web.pyswarm(victim, "service", "ls", check=False))
    assert "manager on this node" not in web.pyswarm(victim, "info")


def test_RFT_02_a_manager_comes_back_at_another_address(web: Cluster) -> None:
    victim = next(name for name in ("m1", "m2", "m3") if name != web.leader())
    host = web.host(victim)
    other = web.leader()
    new = str(web.lab.config.subnet[100])
    os.kill(web.daemon(victim), signal.SIGTERM)
    wait_for("the daemon gone", lambda: not any(" daemon" in c for c in host.processes().values()))
    host.run("sh", "-c", f"ip addr flush dev eth0; ip addr add {new}/24 dev eth0")
    host.start_daemon()
    wait_for("its new address", patiently(lambda: web.nodes(other)[victim]["Status"]["Addr"] == new))
    expected = {"Reachability": "reachable", "Addr": f"{new}:2377"}
    wait_for("the new address in the log", patiently(lambda: web.nodes(other)[victim]["ManagerStatus"] == expected))
    web.wait_ready(5, other)
