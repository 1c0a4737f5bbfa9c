"""What nodes declare, who gets it, and what is said to those who wait."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.lab import Cluster, new_hosts, patiently
from tests.support.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
SOCKET = "unix:///run/pyswarm/pyswarm.sock"


@contextmanager
def daemon(cluster: Cluster, name: str, *flags: str) -> Iterator[None]:
    command = cluster.host(name).command(sys.executable, "-m", "pyswarm", "daemon", *flags)
    with cluster.host(name).path("/var/log/pyswarm.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(f"the daemon of {name}", cluster.api(name).is_up)
        yield
    finally:
        cluster.stop_daemon(name)
        process.wait(PATIENCE)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with new_hosts(managers=1, workers=1) as made:
        yield made


def gpus(cluster: Cluster) -> list[str]:
    """What the running containers on w1 know of them."""
    host, found = cluster.host("w1"), []
    for container in cluster.containers("w1"):
        (inspected,) = json.loads(host.run("docker", "inspect", container).stdout)
        found += [text for text in inspected["Config"]["Env"] if text.startswith("DOCKER_RESOURCE_GPU=")]
    return sorted(found)


def test_a_task_that_its_node_rejects_is_explained(cluster: Cluster) -> None:
    cluster.init("m1")
    cluster.wait_ready(1)
    for name, *flags in (("typo", "busybux"), ("mount", "--mount", "type=bind,source=/none,target=/data", "busybox")):
        cluster.pyswarm("m1", "service", "create", "--detach", "--no-resolve-image", "--name", name, *flags)

    def explained(name: str, *texts: str) -> bool:
        said = cluster.pyswarm("m1", "service", "explain", name)
        return all(text in said for text in texts)

    image = ("image busybux:latest is not on this node and cannot be pulled", "service update --image NAME typo")
    wait_for("the rejected image", patiently(lambda: explained("typo", *image)))
    path = ("bind source path does not exist: /none", "make that path on m1, or keep the tasks away")
    wait_for("the rejected mount", patiently(lambda: explained("mount", *path)))


def test_named_resources_from_the_daemon_to_the_container_and_back(cluster: Cluster) -> None:
    """The real docker command asks for them; each container has its own, and loses its place with it."""
    with daemon(cluster, "w1", "--generic-resource", "gpu=UUID1", "--generic-resource", "gpu=UUID2"):
        cluster.init("m1")
        cluster.join("w1", "worker")
        cluster.wait_ready(2)
        declared = cluster.nodes()["w1"]["Description"]["Resources"]["GenericResources"]
        assert declared == [{"NamedResourceSpec": {"Kind": "gpu", "Value": f"UUID{number}"}} for number in (1, 2)]
        create = ("service", "create", "--detach", "--name", "train", "--replicas", "3", "--generic-resource", "gpu=1")
        cluster.host("m1").run("docker", "-H", SOCKET, *create, "busybox", "sleep", "100000")
        cluster.wait_running("train", 2)
        assert gpus(cluster) == ["DOCKER_RESOURCE_GPU=UUID1", "DOCKER_RESOURCE_GPU=UUID2"]
        handed_out = [task["GenericResources"] for task in cluster.running("train")]
        assert sorted(item[0]["NamedResourceSpec"]["Value"] for item in handed_out) == ["UUID1", "UUID2"]
        said = cluster.pyswarm("m1", "service", "explain", "train")
        assert "1 of 3 tasks of train waits for a node: no suitable node (insufficient resources on 2 nodes)" in said
        assert "needs 1 more gpu; 0 of 2 free" in said
        assert "needs 1 more gpu; 0 of 0 free" in said
    with daemon(cluster, "w1", "--generic-resource", "gpu=UUID2"):
        wait_for("one container left", patiently(lambda: gpus(cluster) == ["DOCKER_RESOURCE_GPU=UUID2"]))
        cluster.wait_running("train", 1)
        assert "needs 1 more gpu; 0 of 1 free" in cluster.pyswarm("m1", "service", "explain", "train")
