"""A cluster's settings from `init` to where they are in force, and what its daemons say while they work."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from core.clock import SECOND
from identity.certificates import load_certificate, validity_of
from identity.files import load_credentials
from identity.root import BACKDATE
from tests.support.lab import Cluster, patiently
from tests.support.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
HOUR = 3600 * SECOND
JOINS_AS = {
    "m2": ("manager", "pause"),
    "m3": ("manager", "pause"),
    "w1": ("worker", "drain"),
    "w2": ("worker", "active"),
}
_STATE = "/var/lib/pyswarm"
_LOG = "/var/log/pyswarm.log"


class Daemons:
    """Started by hand on every host, as talkative as they can be; one that is told to stop says how it ended."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        host = self.cluster.host(name)
        command = host.command(
            sys.executable, "-m", "pyswarm", "daemon", "--log-format", "json", "--log-level", "debug"
        )
        with host.path(_LOG).open("ab") as log:
            self._running[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(f"the daemon of {name}", self.cluster.api(name).is_up)

    def stop(self, name: str) -> int:
        """Sends SIGTERM. The exit status."""
        os.kill(self.cluster.daemon(name), signal.SIGTERM)
        return self._running.pop(name).wait(PATIENCE)

    def stop_all(self) -> None:
        for name in list(self._running):
            self.stop(name)

    def log(self, name: str) -> list[dict[str, Any]]:
        """Every line, which must be a JSON object."""
        return [json.loads(line) for line in self.cluster.host(name).path(_LOG).read_bytes().splitlines()]


@pytest.fixture(scope="module")
def daemons(hosts: Cluster) -> Iterator[Daemons]:
    started = Daemons(hosts)
    try:
        for host in hosts.hosts:
            started.start(host.name)
        yield started
    finally:
        started.stop_all()


@pytest.fixture(scope="module")
def set_up(daemons: Daemons) -> Cluster:
    """A cluster with settings of its own; each node came in with another availability."""
    cluster = daemons.cluster
    settings = ("--dispatcher-heartbeat", "2s", "--cert-expiry", "48h", "--task-history-limit", "3")
    cluster.init("m1", *settings, "--availability", "drain")
    for name, (role, availability) in JOINS_AS.items():
        cluster.join(name, role, "m1", "--availability", availability)
    cluster.wait_ready(5)
    return cluster


def life_of_certificate(cluster: Cluster, name: str) -> int:
    """Hours, without those that the node's certificate is back-dated by."""
    credentials = load_credentials(cluster.host(name).path(_STATE) / "certificates")
    assert credentials is not None
    begins, expires = validity_of(load_certificate(credentials.bundle.certificate))
    return (expires - begins - BACKDATE) // HOUR


def history_of(cluster: Cluster, service: str) -> list[Any]:
    """Tasks of the service that ended."""
    return [task for task in cluster.tasks(service) if task["DesiredState"] != "running"]


def test_the_settings_of_init_are_shown_to_every_client(set_up: Cluster) -> None:
    spec = set_up.api("m2").get("/swarm")["Spec"]
    assert spec["Dispatcher"]["HeartbeatPeriod"] == 2 * SECOND
    assert spec["CAConfig"]["NodeCertExpiry"] == 48 * HOUR
    assert spec["Orchestration"]["TaskHistoryRetentionLimit"] == 3
    ours = set_up.pyswarm("m1", "info")
    docker = ("docker", "-H", "unix:///run/pyswarm/pyswarm.sock", "info")
    theirs = set_up.host("m1").run(*docker).stdout.decode()
    for line in ("Task History Retention Limit: 3", "Heartbeat Period: 2 seconds", "Expiry Duration: 2 days"):
        assert line in ours
        assert line in theirs


def test_every_certificate_lasts_as_long_as_was_asked(set_up: Cluster) -> None:
    lives = {host.name: life_of_certificate(set_up, host.name) for host in set_up.hosts}
    assert lives == dict.fromkeys(lives, 48)


def test_a_node_that_came_in_paused_or_drained_gets_no_task(set_up: Cluster) -> None:
    shown = {name: node["Spec"]["Availability"] for name, node in set_up.nodes().items()}
    assert shown == {"m1": "drain", **{name: availability for name, (_, availability) in JOINS_AS.items()}}
    set_up.pyswarm("m1", "service", "create", "--name", "everywhere", "--mode", "global", "busybox", "sleep", "100000")
    set_up.pyswarm("m1", "service", "create", "--name", "five", "--replicas", "5", "busybox", "sleep", "100000")
    nodes = {task["NodeID"] for service in ("everywhere", "five") for task in set_up.tasks(service)}
    assert nodes == {set_up.nodes()["w2"]["ID"]}
    assert not any(set_up.containers(name) for name in ("m1", "m2", "m3", "w1"))


def test_the_history_of_a_slot_is_bounded_by_the_setting_of_the_day(set_up: Cluster) -> None:
    flags = ("--detach", "--name", "old", "--stop-grace-period", "0s")
    set_up.pyswarm("m1", "service", "create", *flags, "busybox", "sleep", "100000")
    seen: set[str] = set()

    def is_new() -> bool:
        before = len(seen)
        seen.update(task["ID"] for task in set_up.running("old"))
        return len(seen) > before

    for _ in range(6):
        wait_for("another task", patiently(is_new))
        set_up.pyswarm("m1", "service", "update", "--detach", "--force", "old")
    wait_for("three tasks in all", patiently(lambda: len(set_up.tasks("old")) == 3))
    set_up.pyswarm("m2", "update", "--task-history-limit", "1")
    wait_for("the history trimmed", patiently(lambda: history_of(set_up, "old") == []))
    wait_for("the last task to run", patiently(lambda: len(set_up.running("old")) == 1))
    assert len(set_up.tasks("old")) == 1


def test_updated_settings_reach_the_next_certificate(set_up: Cluster) -> None:
    set_up.pyswarm("m1", "update", "--cert-expiry", "24h", "--dispatcher-heartbeat", "500ms")
    set_up.pyswarm("w1", "leave")
    set_up.join("w1", "worker")
    assert life_of_certificate(set_up, "w1") == 24
    assert life_of_certificate(set_up, "w2") == 48
    assert set_up.api("m3").get("/swarm")["Spec"]["Dispatcher"]["HeartbeatPeriod"] == SECOND // 2
    assert "Heartbeat Period: 500ms" in set_up.pyswarm("m1", "info")


def test_a_leader_that_is_told_to_stop_hands_over_ends_well_and_comes_back(set_up: Cluster, daemons: Daemons) -> None:
    old = set_up.leader()
    before = len(daemons.log(old))
    assert daemons.stop(old) == 0
    last = daemons.log(old)[before:]
    assert [event for event in last if "exception" in event or event["level"] in ("error", "critical")] == []
    assert not any("took over" in event["event"] for event in last), "it waited in vain for another"
    other = next(name for name in ("m1", "m2", "m3") if name != old)
    assert wait_for("a new leader", patiently(lambda: set_up.nodes(other) and set_up.leader())) != old
    daemons.start(old)
    set_up.wait_ready(5, other)


def test_no_secret_is_in_a_log_an_argument_or_a_file_that_others_may_read(set_up: Cluster, daemons: Daemons) -> None:
    secrets = secrets_of(set_up)
    for role in ("worker", "manager"):
        set_up.pyswarm("m2", "join-token", "--rotate", role)
        secrets.add(set_up.token(role).encode())
    told = set_up.pyswarm("w1", "join", "--token", set_up.token("worker"), "nowhere.invalid:2377", check=False)
    assert "already part of a swarm" in told
    for host in set_up.hosts:
        with socket.create_connection((host.address, 7947)) as stranger:
            stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert daemons.log(host.name)
        readable = [
            path for path in host.path("/var/lib/pyswarm").rglob("*") if path.is_file() and path.stat().st_mode & 0o077
        ]
        said = {
            "an error": told.encode(),
            "the log": host.path(_LOG).read_bytes(),
            "an argument": "\n".join(host.processes().values()).encode(),
            **{str(path): path.read_bytes() for path in readable},
        }
        assert [(place, secret[:12]) for place, text in said.items() for secret in secrets if secret in text] == []


def secrets_of(cluster: Cluster) -> set[bytes]:
    """Tokens, the lines of the nodes' keys, and how every key begins: the cluster's own lies sealed in the log."""
    secrets = {cluster.token(role).encode() for role in ("worker", "manager")} | {b"PRIVATE KEY-----"}
    for host in cluster.hosts:
        credentials = load_credentials(host.path(_STATE) / "certificates")
        assert credentials is not None
        secrets |= {line for line in credentials.bundle.key.splitlines() if len(line) > 20 and b"-----" not in line}
    assert len(secrets) >= 3 + len(cluster.hosts)
    return secrets
