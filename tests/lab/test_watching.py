"""Events and logs of five real hosts, read with the real docker command on a manager that does not lead."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.support.lab import Cluster, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
SOCKET = ("-H", "unix:///run/pyswarm/pyswarm.sock")
TALK = "for number in $(seq 10); do echo $number $HOSTNAME; sleep 0.3; done; exec sleep 1000"


def docker(cluster: Cluster, host: str, *arguments: str) -> list[str]:
    done = cluster.host(host).run("docker", *SOCKET, *arguments, timeout=120)
    return (done.stdout + done.stderr).decode().splitlines()


class Said:
    """What a docker command that goes on has said so far."""

    def __init__(self, cluster: Cluster, host: str, *arguments: str) -> None:
        command = cluster.host(host).command("docker", *SOCKET, *arguments)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert self._process.stdout is not None
        self._descriptor = self._process.stdout.fileno()
        os.set_blocking(self._descriptor, False)
        self._data = b""

    @property
    def lines(self) -> list[str]:
        with suppress(BlockingIOError):
            while data := os.read(self._descriptor, 65536):
                self._data += data
        return self._data.decode().split("\n")[:-1]

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def following(cluster: Cluster, host: str, *arguments: str) -> Iterator[Said]:
    said = Said(cluster, host, *arguments)
    try:
        yield said
    finally:
        said.end()


def test_a_follower_tells_what_happens_in_the_cluster_and_on_its_own_engine(cluster: Cluster) -> None:
    follower = cluster.follower()
    with following(cluster, follower, "events", "--format", "json") as said:

        def begun() -> bool:
            """It tells only of what comes later."""
            cluster.pyswarm("m1", "node", "update", "--label-add", f"at={time.monotonic()}", "w2")
            return bool(said.lines)

        wait_for("the stream has begun", patiently(begun))
        cluster.pyswarm("m1", "service", "create", "--name", "web", "--mode", "global", "busybox", "sleep", "1000")

        def told() -> set[tuple[str, str, str]]:
            events = [json.loads(line) for line in said.lines]
            return {(event["Type"], event["Action"], event["scope"]) for event in events}

        wanted = {("service", "create", "swarm"), ("container", "start", "local")}
        wait_for("both are told", lambda: told() >= wanted)
    node = cluster.nodes()["w1"]
    cluster.pyswarm("m1", "node", "update", "--availability", "drain", "w1")
    cluster.pyswarm("m1", "node", "update", "--availability", "active", "w1")
    for host in ("m1", "m2", "m3"):
        bounds = ("--since", "10m", "--until", "0s", "--filter", f"node={node['ID']}", "--filter", "event=update")

        def told_by(host: str = host, bounds: tuple[str, ...] = bounds) -> bool:
            """The command means whole seconds: what is younger than that it leaves out."""
            said = "\n".join(docker(cluster, host, "events", *bounds))
            return "availability.new=drain, availability.old=active" in said

        wait_for(f"{host} tells of the past", told_by)
    cluster.pyswarm("m1", "service", "rm", "web")


def test_LOG_01_lines_of_all_hosts_come_in_order_and_who_is_away_is_named(cluster: Cluster) -> None:
    command = ("service", "create", "--name", "talk", "--mode", "global", "busybox", "sh", "-c", TALK)
    cluster.pyswarm("m1", *command)
    follower = cluster.follower()

    def everything() -> list[str]:
        lines = docker(cluster, follower, "service", "logs", "--timestamps", "talk")
        return lines if len(lines) == 50 else []

    lines = wait_for("ten lines of each of five hosts", patiently(everything))
    stamps = [line.split(" ", 1)[0] for line in lines]
    assert stamps == sorted(stamps)
    away = cluster.host("w2")
    away.freeze()
    try:
        said = docker(cluster, follower, "service", "logs", "talk")
    finally:
        away.thaw()
    assert "incomplete log from node w2" in said[-1]
    assert len([line for line in said if "incomplete" not in line]) == 40
    cluster.wait_ready(5)
    cluster.pyswarm("m1", "service", "rm", "talk")


def test_LOG_02_who_follows_hears_of_tasks_that_come_later(cluster: Cluster) -> None:
    assert any(all_are_heard(cluster, f"late-{attempt}") for attempt in range(5))


def all_are_heard(cluster: Cluster, service: str) -> bool:
    """False if the stream broke off, as it says when another manager comes to lead."""
    follower = cluster.follower()
    talk = ("busybox", "sh", "-c", "echo I am $HOSTNAME; exec sleep 1000")
    cluster.pyswarm("m1", "service", "create", "--name", service, "--hostname", "{{.Node.Hostname}}", *talk)
    with following(cluster, follower, "service", "logs", "--follow", "--raw", service) as said:

        def heard() -> list[str]:
            return sorted(line for line in said.lines if line.startswith("I am "))

        def broke_off() -> bool:
            return any("was lost; try again" in line for line in said.lines)

        wait_for("the first task is heard", lambda: len(heard()) == 1 or broke_off())
        cluster.pyswarm("m1", "service", "scale", f"{service}=5")
        wait_for("all five are heard", lambda: len(heard()) == 5 or broke_off())
        found = heard()
    cluster.pyswarm("m1", "service", "rm", service)
    return found == [f"I am {host.name}" for host in cluster.hosts]


def test_a_command_runs_in_a_tasks_container_through_the_hosts_socket(cluster: Cluster) -> None:
    cluster.pyswarm("m1", "service", "create", "--name", "shell", "--mode", "global", "busybox", "sleep", "1000")
    for host in ("m1", "w1"):
        (container,) = docker(cluster, host, "ps", "--quiet", "--filter", "name=shell")
        assert docker(cluster, host, "exec", container, "echo", "hello") == ["hello"]
    cluster.pyswarm("m1", "service", "rm", "shell")
