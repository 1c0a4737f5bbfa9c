"""Managers that are lost for good, on real hosts: README's section on it, followed to the letter."""

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyswarm.node.state import DEFAULT_STATE_DIR, NODE_FILE
from tests.support.lab import Cluster, fetch, new_hosts, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
README = Path(__file__).parents[2] / "README.md"
PORT = 8080
MANAGERS = ("m1", "m2", "m3")


@dataclass(frozen=True)
class Step:
    command: str
    hosts: list[str]
    again: bool
    """It may be refused at first."""


def read_runbook() -> dict[str, list[list[Step]]]:
    """By case, the blocks of commands."""
    section = README.read_text().partition("## When a manager is lost")[2].partition("\n## ")[0]
    _, *parts = re.split(r"\n\*\*(.+?)\*\*", section)
    cases = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        blocks = re.findall(r"(?:^    .+\n)+", text, re.MULTILINE)
        cases[name.rstrip(".")] = [[read_step(line) for line in block.splitlines()] for block in blocks]
    return cases


def read_step(line: str) -> Step:
    command, mark, where = line.partition("# on ")
    assert mark, f"README does not say where to type {line.strip()!r}"
    return Step(command.strip(), re.findall(r"\b[mw]\d\b", where.partition(";")[0]), "again" in where)


class Runbook:
    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._cases = read_runbook()
        self._token = b""
        passphrase = folder / "passphrase"
        passphrase.write_text("correct horse battery staple\n")
        self._places = {
            "192.0.2.1": cluster.host("m1").address,
            "192.0.2.4": cluster.host("m4").address,
            "/root/passphrase": str(passphrase),
            "/mnt/swarm.backup": str(folder / "swarm.backup"),
        }

    def follow(self, case: str, block: int = 0) -> None:
        for step in self._cases[case][block]:
            for host in step.hosts:
                if step.again:
                    wait_for(step.command, lambda step=step, host=host: self._succeeds(step, host))
                else:
                    assert self._succeeds(step, host), f"{step.command} on {host}: {self._said}"

    def _succeeds(self, step: Step, host: str) -> bool:
        text = step.command
        for written, meant in self._places.items():
            text = text.replace(written, meant)
        words = shlex.split(text)
        done = self._cluster.host(host).run(*words, check=False, input=self._token if "-" in words else None)
        self._said = (done.stdout + done.stderr).decode()
        if "join-token" in words:
            self._token = done.stdout
        return done.returncode == 0


@pytest.fixture(scope="module")
def hosts() -> Iterator[Cluster]:
    """Three managers to be, two spare machines and a worker."""
    with new_hosts(managers=5, workers=1) as made:
        yield made


@pytest.fixture
def cluster(hosts: Cluster) -> Cluster:
    """m1, m2, m3 and w1 in a new cluster that serves `web`; m4 and m5 are in none."""
    for host in hosts.hosts:
        host.boot()
        host.wait_for_engine()
        if host.path(str(DEFAULT_STATE_DIR / NODE_FILE)).exists():
            leave(hosts, host.name)
    hosts.init("m1")
    for name, role in (("m2", "manager"), ("m3", "manager"), ("w1", "worker")):
        hosts.join(name, role)
    hosts.wait_ready(4)
    hosts.serve("web", 4, PORT)
    return hosts


@pytest.fixture
def runbook(cluster: Cluster, tmp_path: Path) -> Runbook:
    return Runbook(cluster, tmp_path)


def test_the_runbook_has_every_case() -> None:
    steps = {name: [len(block) for block in blocks] for name, blocks in read_runbook().items()}
    assert steps == {"One of three": [4], "Two of three": [3], "All of them": [1, 4]}


def test_one_of_three_managers_is_lost(cluster: Cluster, runbook: Runbook) -> None:
    cluster.host("m3").poweroff()
    wait_for("m3 unreachable", patiently(lambda: managers(cluster, "m1") == {"m1", "m2"}))
    said = cluster.pyswarm("m1", "node", "ls")
    assert "WARNING: 2 of 3 managers can be reached: one more failure stops all changes" in said
    wait_for("m2 says so", lambda: "one more failure stops all changes" in cluster.pyswarm("m2", "info"))
    runbook.follow("One of three")
    wait_for("three managers", patiently(lambda: managers(cluster, "m1") == {"m1", "m2", "m4"}))
    assert "WARNING" not in cluster.pyswarm("m4", "node", "ls")
    assert set(cluster.nodes("m4")) == {"m1", "m2", "m4", "w1"}
    cluster.wait_running("web", 4)
    cluster.answers(cluster.host("m4"), PORT, 1)


def test_two_of_three_managers_are_lost(cluster: Cluster, runbook: Runbook) -> None:
    before, worker = cluster.api("m1").get("/swarm"), cluster.nodes()["w1"]["ID"]
    for name in ("m2", "m3"):
        cluster.host(name).poweroff()
    wait_for("no quorum", lambda: "1 of 3 managers can be reached" in cluster.pyswarm("m1", "node", "ls", check=False))
    said = cluster.pyswarm("m1", "node", "ls", check=False)
    assert "`pyswarm init --force-new-cluster`" in said
    assert "1 of 3 managers can be reached" in cluster.pyswarm("m1", "info")
    refused = cluster.pyswarm("m1", "service", "scale", "-d", "web=5", check=False)
    assert "1 of 3 managers can be reached" in refused
    wait_for("web still answers", lambda: fetch(cluster.host("w1").address, PORT))
    for seconds in (3, 3.2, 3.4, 3.6, 4, 5):
        kill_while_it_is_forced(cluster, "m1", seconds)
    runbook.follow("Two of three")
    wait_for("three managers", patiently(lambda: managers(cluster, "m1") == {"m1", "m4", "m5"}))
    after = cluster.api("m5").get("/swarm")
    assert (after["ID"], after["JoinTokens"]) == (before["ID"], before["JoinTokens"])
    assert after["TLSInfo"] == before["TLSInfo"]
    cluster.wait_ready(4, "m4")
    assert cluster.nodes("m4")["w1"]["ID"] == worker
    assert {task["NodeID"] for task in cluster.wait_running("web", 4, "m4")} <= ids(cluster, "m4")
    for name in ("m1", "m4", "m5", "w1"):
        cluster.answers(cluster.host(name), PORT, 1)
    come_back(cluster, "m2", "run `pyswarm leave --force` on it", through="m1")


def kill_while_it_is_forced(cluster: Cluster, name: str, seconds: float) -> None:
    """Later it is typed again, as by a person who does not know how far it came."""
    host, forcing = cluster.host(name), ("pyswarm", "init", "--force-new-cluster")
    with subprocess.Popen(host.command(*forcing), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
        time.sleep(seconds)  # for the first three it looks for the others
        os.kill(cluster.daemon(name), signal.SIGKILL)
        command.wait()
    host.start_daemon()
    wait_for("the daemon answers", lambda: "Swarm: " in cluster.pyswarm(name, "info", check=False))


def leave(cluster: Cluster, name: str) -> None:
    """Its daemon may just be starting."""

    def left() -> bool:
        said = cluster.pyswarm(name, "leave", "--force", check=False)
        print(name, said)
        return "Node left" in said

    wait_for(f"{name} has left", left)


def come_back(cluster: Cluster, name: str, complaint: str, through: str) -> None:
    """A manager that was thought to be lost is let in by nobody; once it has left it is a node like any other."""
    host, before = cluster.host(name), len(cluster.nodes(through))
    host.boot()
    host.wait_for_engine()
    wait_for("a complaint", lambda: complaint in cluster.pyswarm(name, "info", check=False))
    assert name not in cluster.nodes(through)
    leave(cluster, name)
    assert cluster.containers(name) == []
    cluster.join(name, "worker", through)
    cluster.wait_ready(before + 1, through)


def test_all_managers_are_lost(cluster: Cluster, runbook: Runbook) -> None:
    runbook.follow("All of them", block=0)
    before = cluster.api("m1").get("/swarm")
    cluster.serve("after", 1, PORT + 1)
    for name in MANAGERS:
        cluster.host(name).poweroff()
    runbook.follow("All of them", block=1)
    cluster.wait_ready(2, "m4")
    assert managers(cluster, "m4") == {"m4"}
    after = cluster.api("m4").get("/swarm")
    assert (after["ID"], after["JoinTokens"]) == (before["ID"], before["JoinTokens"])
    names = {service["Spec"]["Name"] for service in cluster.api("m4").get("/services")}
    assert names == {"web"}, "what came after the backup is lost"
    assert {task["NodeID"] for task in cluster.wait_running("web", 4, "m4")} <= ids(cluster, "m4")
    for name in ("m4", "w1"):
        cluster.answers(cluster.host(name), PORT, 1)
    come_back(cluster, "m3", "1 of 3 managers can be reached", through="m4")


def managers(cluster: Cluster, seen_by: str) -> set[str]:
    """Those that can be reached."""
    found = {name: node.get("ManagerStatus") or {} for name, node in cluster.nodes(seen_by).items()}
    return {name for name, status in found.items() if status.get("Reachability") == "reachable"}


def ids(cluster: Cluster, seen_by: str) -> set[str]:
    return {node["ID"] for node in cluster.nodes(seen_by).values()}
