"""A service on five hosts: every node answers, what dies is replaced, what is told is done."""

import os
import signal
import sys
from socket import create_connection

import pytest

from tests.support.lab import PATIENT, Cluster, fetch, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
PORT = 8080


@pytest.fixture(scope="module")
def web(hosts: Cluster) -> Cluster:
    hosts.form(*PATIENT)
    hosts.serve("web", 3, PORT)
    return hosts


def test_every_node_answers_with_every_task(web: Cluster) -> None:
    tasks = {container for host in web.hosts for container in web.containers(host.name)}
    assert len(tasks) == 3
    for host in web.hosts:
        assert len(web.answers(host, PORT, 3)) == 3


def test_the_command_shows_what_docker_shows(web: Cluster) -> None:
    assert "web" in web.pyswarm("m2", "service", "ls")
    listed = web.pyswarm("m3", "service", "ls", "--format", "{{.Name}} {{.Mode}} {{.Replicas}} {{.Ports}}")
    assert listed.strip() == f"web replicated 3/3 *:{PORT}->80/tcp"
    assert web.pyswarm("m1", "service", "ps", "-q", "web").count("\n") == 3
    assert "Replicas:\t3" in web.pyswarm("m1", "service", "inspect", "--pretty", "web")


def test_the_real_docker_command_drives_it(web: Cluster) -> None:
    socket = "unix:///run/pyswarm/pyswarm.sock"
    listed = web.host("m1").run("docker", "-H", socket, "service", "ls", "--format", "{{.Name}} {{.Replicas}}")
    assert listed.stdout.decode().strip() == "web 3/3"
    nodes = web.host("m2").run("docker", "-H", socket, "node", "ls", "--format", "{{.Hostname}}").stdout.decode()
    assert set(nodes.split()) == {"m1", "m2", "m3", "w1", "w2"}


def test_a_killed_container_is_replaced(web: Cluster) -> None:
    before = {task["ID"] for task in web.wait_running("web", 3)}
    victim = next(host for host in web.hosts if web.containers(host.name))
    victim.run("docker", "kill", web.containers(victim.name)[0])
    wait_for("a new task", patiently(lambda: {task["ID"] for task in web.running("web")} - before))
    web.wait_running("web", 3)
    failed = [task for task in web.tasks("web") if task["Status"]["State"] == "failed"]
    assert failed
    assert "137" in failed[0]["Status"]["Err"]


def test_scaling_up_and_down(web: Cluster) -> None:
    web.pyswarm("m2", "service", "scale", "web=6")
    assert len(web.wait_running("web", 6)) == 6
    web.pyswarm("m3", "service", "scale", "web=2")
    web.wait_running("web", 2)
    wait_for("four containers gone", lambda: sum(len(web.containers(host.name)) for host in web.hosts) == 2)
    web.pyswarm("m1", "service", "scale", "web=3")
    web.wait_running("web", 3)


def test_an_update_replaces_every_task_and_a_rollback_brings_the_old_one_back(web: Cluster) -> None:
    web.pyswarm("m1", "service", "update", "--env-add", "COLOUR=green", "--update-parallelism", "2", "web")
    colours = {str(task["Spec"]["ContainerSpec"].get("Env")) for task in web.wait_running("web", 3)}
    assert colours == {"['COLOUR=green']"}
    web.pyswarm("m1", "service", "rollback", "web")
    assert all(not task["Spec"]["ContainerSpec"].get("Env") for task in web.wait_running("web", 3))


def test_LOG_01_logs_come_from_every_task(web: Cluster) -> None:
    script = ("sh", "-c", "echo hello; sleep 1000")
    web.pyswarm("m1", "service", "create", "--name", "talk", "--replicas", "2", "busybox", *script)

    def two_hellos() -> str:
        said = web.pyswarm("m3", "service", "logs", "talk")
        return said if said.count("hello") == 2 else ""

    said = wait_for("two hellos", patiently(two_hellos))
    assert "talk.1." in said
    assert "talk.2." in said
    web.pyswarm("m1", "service", "rm", "talk")


def test_a_port_taken_by_another_program_is_reported_and_the_others_answer(web: Cluster) -> None:
    w1 = web.host("w1")
    hold = "import socket, time; held = socket.create_server(('', 8099)); time.sleep(600)"
    w1.run("sh", "-c", f'{sys.executable} -c "{hold}" >/dev/null 2>&1 & echo started')
    wait_for("the port taken", lambda: is_taken(w1.address, 8099))
    web.serve("other", 1, 8099)
    node = wait_for(
        "the port's trouble on the node",
        patiently(lambda: n if "8099" in str(n := web.nodes()["w1"]) else None),
    )
    assert "8099" in node["Status"]["Message"]
    assert "w1" in web.api("m1").get("/services/other")["Error"]
    assert web.answers(web.host("w2"), 8099, 1)
    web.pyswarm("m1", "service", "rm", "other")


def is_taken(address: str, port: int) -> bool:
    try:
        create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def test_an_impossible_service_says_why_it_waits(web: Cluster) -> None:
    flags = ("--detach", "--name", "big", "--reserve-memory", "900G")
    web.pyswarm("m1", "service", "create", *flags, "busybox", "true")
    reason = "no suitable node (insufficient resources on 5 nodes)"
    wait_for("a reason", patiently(lambda: any(reason in task["Status"].get("Err", "") for task in web.tasks("big"))))
    web.pyswarm("m1", "service", "rm", "big")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--publish", f"{PORT}:80"), "already in use"),
        (("--constraint", "node.role=~worker"), "constraint"),
        (("--reserve-memory", "1m"), "4"),
        (("--name", "web"), "conflict"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(web: Cluster, flags: tuple[str, ...], complaint: str) -> None:
    before = web.pyswarm("m1", "service", "ls", "-q")
    name = () if "--name" in flags else ("--name", "bad")
    said = web.pyswarm("m1", "service", "create", "-d", *name, *flags, "busybox", "true", check=False)
    assert complaint in said
    assert web.pyswarm("m1", "service", "ls", "-q") == before


def test_containers_and_traffic_survive_the_death_of_every_daemon(web: Cluster) -> None:
    # Those of services that earlier tests removed have a stop grace.
    wait_for("web's containers alone", lambda: sum(len(web.containers(host.name)) for host in web.hosts) == 3)
    before = {host.name: web.containers(host.name) for host in web.hosts}
    for host in web.hosts:
        os.kill(web.daemon(host.name), signal.SIGKILL)
    assert {host.name: web.containers(host.name) for host in web.hosts} == before
    for host in web.hosts:
        assert web.answers(host, PORT, 3)
    for host in web.hosts:
        host.start_daemon()
    web.wait_ready(5)
    assert {host.name: web.containers(host.name) for host in web.hosts} == before


def test_removing_the_service_removes_containers_and_closes_the_port(web: Cluster) -> None:
    web.pyswarm("m1", "service", "rm", "web")
    wait_for("all containers gone", lambda: not any(web.containers(host.name) for host in web.hosts))
    wait_for("the port closed", lambda: not any(fetch(host.address, PORT) for host in web.hosts))
