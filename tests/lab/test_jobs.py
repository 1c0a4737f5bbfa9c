"""Jobs and a rebalance on five hosts, with real containers and the real docker command."""

from collections import Counter

import pytest

from tests.support.lab import Cluster, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
DOCKER = ("docker", "-H", "unix:///run/pyswarm/pyswarm.sock")
HOSTS = ("m1", "m2", "m3", "w1", "w2")


def docker(cluster: Cluster, host: str, *arguments: str) -> list[str]:
    return cluster.host(host).run(*DOCKER, *arguments).stdout.decode().splitlines()


def states(cluster: Cluster, service: str) -> Counter[str]:
    return Counter(task["Status"]["State"] for task in cluster.tasks(service))


def test_JOB_01_docker_waits_until_every_container_of_a_job_has_ended(cluster: Cluster) -> None:
    flags = ("--mode", "replicated-job", "--replicas", "6", "--max-concurrent", "2")
    said = docker(
        cluster, "m1", "service", "create", "--name", "count", *flags, "busybox", "sh", "-c", "echo $HOSTNAME"
    )
    assert said[-1] == "job complete"
    assert states(cluster, "count") == {"complete": 6}
    listed = docker(cluster, "m2", "service", "ls", "--format", "{{.Name}} {{.Mode}} {{.Replicas}}")
    assert listed == ["count replicated job 0/2 (6/6 completed)"]
    assert len(cluster.pyswarm("m3", "service", "logs", "--raw", "count").splitlines()) == 6


def containers(cluster: Cluster) -> set[bytes]:
    """Also those that have ended."""
    return {container for host in HOSTS for container in cluster.host(host).run("docker", "ps", "-aq").stdout.split()}


def test_JOB_03_an_update_runs_it_again_and_its_old_containers_are_removed(cluster: Cluster) -> None:
    before = containers(cluster)
    said = cluster.pyswarm("m2", "service", "update", "--force", "count").splitlines()
    assert said[-1] == "job complete"
    assert states(cluster, "count") == {"complete": 6}
    assert {task["JobIteration"]["Index"] for task in cluster.tasks("count")} == {1}
    wait_for("the old ones removed", lambda: not before & containers(cluster))


def test_JOB_04_a_global_job_runs_once_on_every_node(cluster: Cluster) -> None:
    said = docker(cluster, "m3", "service", "create", "--name", "everywhere", "--mode", "global-job", "busybox", "true")
    assert said[-1] == "job complete"
    assert len({task["NodeID"] for task in cluster.tasks("everywhere")}) == 5
    assert states(cluster, "everywhere") == {"complete": 5}


def test_JOB_05_a_failed_container_is_run_again_until_it_may_be_no_more(cluster: Cluster) -> None:
    flags = ("--mode", "replicated-job", "--restart-delay", "0s", "--restart-max-attempts", "2")
    docker(cluster, "m1", "service", "create", "-d", "--name", "fails", *flags, "busybox", "sh", "-c", "exit 3")
    failed = cluster.host("m1").run("pyswarm", "service", "update", "--force", "fails", check=False, timeout=120)
    assert failed.returncode == 1
    assert b"job failed: 0 out of 1 tasks completed: task: non-zero exit (3)" in failed.stderr
    wait_for("three attempts", patiently(lambda: states(cluster, "fails") == {"failed": 3}))


def test_a_service_is_spread_again_when_a_node_has_come_back(cluster: Cluster) -> None:
    cluster.pyswarm("m1", "node", "update", "--availability", "drain", "w1")
    cluster.serve("web", 5, 8080)
    cluster.pyswarm("m1", "node", "update", "--availability", "active", "w1")
    before = {task["ID"] for task in cluster.running("web")}
    said = cluster.pyswarm("m2", "service", "rebalance", "--start-first", "web").splitlines()
    assert said[-1] == "verify: Service web is spread"
    now = cluster.wait_running("web", 5)
    assert set(Counter(task["NodeID"] for task in now).values()) == {1}
    assert len(before & {task["ID"] for task in now}) == 4
