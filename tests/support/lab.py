"""A cluster on real hosts: what the lab tests say to it and ask of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from core.errors import PyswarmError
from pyswarm.cli.client import Client
from pyswarm.dev import Host, Lab, LabConfig
from tests.support.waiting import wait_for

SERVE = "mkdir -p /www && hostname > /www/index.html && exec httpd -f -p 80 -h /www"
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
NUMBER = int(os.environ.get("PYSWARM_TEST_LAB", "81")) + _WORKER
"""Two labs on one machine need two numbers: those of two runs, and of one run's workers."""
CONFIG = LabConfig(
    name=f"pstest{NUMBER}", root=Path(f"/var/lib/pyswarm-test{NUMBER}"), subnet=IPv4Network(f"10.213.{NUMBER}.0/24")
)

PATIENT = ("--dispatcher-heartbeat", "3s")
"""For `form`: a node whose daemon is started again is not taken for down meanwhile, however slow the machine is."""
SILENCE = 10.0
"""Seconds after which a node of which nothing has been heard is surely not ready any more in such a cluster."""


class Cluster:
    """Hosts, of which some belong to one cluster. `m1` is the first manager."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def host(self, name: str) -> Host:
        return self.lab.host(name)

    @property
    def hosts(self) -> list[Host]:
        return self.lab.hosts

    def api(self, name: str) -> Client:
        """The socket of the host's daemon, from outside."""
        return Client(f"unix://{self.host(name).path('/run/pyswarm/pyswarm.sock')}")

    def pyswarm(self, name: str, *arguments: str, check: bool = True, input: bytes | None = None) -> str:
        """What the command printed on both outputs, run in the host."""
        done = self.host(name).run("pyswarm", *arguments, check=check, input=input, timeout=120)
        return (done.stdout + done.stderr).decode()

    def dev(self, *arguments: str) -> None:
        """`pyswarm dev ...` for these hosts, on the machine."""
        config = self.lab.config
        own = {"NAME": config.name, "ROOT": str(config.root), "SUBNET": str(config.subnet)}
        environment = os.environ | {f"PYSWARM_DEV_{key}": value for key, value in own.items()}
        command = [sys.executable, "-m", "pyswarm", "dev", *arguments]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

    def init(self, name: str = "m1", *arguments: str) -> None:
        self.pyswarm(name, "init", "--advertise-addr", self.host(name).address, *arguments)

    def token(self, role: str, manager: str = "m1") -> str:
        return self.pyswarm(manager, "join-token", "-q", role).strip()

    def join(self, name: str, role: str, manager: str = "m1", *arguments: str) -> None:
        token = self.token(role, manager)
        to = f"{self.host(manager).address}:2377"
        self.pyswarm(name, "join", *arguments, "--token", "-", to, input=token.encode())

    def form(self, *settings: str) -> None:
        """m1 begins, the others join by the first letter of their names."""
        self.init("m1", *settings)
        for host in self.hosts[1:]:
            self.join(host.name, "manager" if host.name.startswith("m") else "worker")
        self.wait_ready(len(self.hosts))

    def nodes(self, manager: str = "m1") -> dict[str, Any]:
        """The nodes by host name."""
        return {node["Description"]["Hostname"]: node for node in self.api(manager).get("/nodes")}

    def wait_ready(self, count: int, manager: str = "m1") -> None:
        def ready() -> bool:
            return sum(node["Status"]["State"] == "ready" for node in self.nodes(manager).values()) == count

        wait_for(f"{count} ready nodes", patiently(ready))

    def leader(self) -> str:
        """The leader's host, as any manager that answers sees it."""

        def ask() -> str:
            for host in self.hosts:
                if host.pid is None or not host.name.startswith("m"):
                    continue
                try:
                    nodes = self.nodes(host.name)
                except (PyswarmError, OSError):  # this manager cannot answer now; another may
                    continue
                for name, node in nodes.items():
                    if (node.get("ManagerStatus") or {}).get("Leader"):
                        return name
            return ""

        return wait_for("a leader", ask)

    def serve(self, service: str, replicas: int, port: int, manager: str = "m1", *arguments: str) -> None:
        """Creates a service whose tasks answer with their host name, and waits until it has converged."""
        flags = ("--replicas", str(replicas), "--publish", f"{port}:80", "--restart-delay", "0s")
        self.pyswarm(manager, "service", "create", "--name", service, *flags, *arguments, "busybox", "sh", "-c", SERVE)

    def tasks(self, service: str, manager: str = "m1", **filters: str) -> list[Any]:
        wanted = {"service": {service: True}, **{key.replace("_", "-"): {v: True} for key, v in filters.items()}}
        found: list[Any] = self.api(manager).get("/tasks", {"filters": wanted})
        return found

    def running(self, service: str, manager: str = "m1") -> list[Any]:
        return [
            task
            for task in self.tasks(service, manager, desired_state="running")
            if task["Status"]["State"] == "running"
        ]

    def wait_running(self, service: str, count: int, manager: str = "m1") -> list[Any]:
        def enough() -> list[Any]:
            found = self.running(service, manager)
            return found if len(found) == count else []

        return wait_for(f"{count} running tasks of {service}", patiently(enough))

    def answers(self, host: Host, port: int, count: int) -> set[str]:
        """The different answers of `host` on `port`, once there are `count` of them."""
        seen: set[str] = set()

        def ask() -> bool:
            if answer := fetch(host.address, port):
                seen.add(answer)
            return len(seen) >= count

        wait_for(f"{count} different answers from {host.name}:{port}", ask)
        return seen

    def containers(self, name: str) -> list[str]:
        """Ids of the running containers of the host's engine."""
        return self.host(name).run("docker", "ps", "-q", "--no-trunc").stdout.decode().split()

    def daemon(self, name: str) -> int:
        """The process of the host's daemon, as the machine sees it."""
        for pid, command in self.host(name).processes().items():
            if " daemon" in command and "pyswarm" in command:
                return pid
        raise AssertionError(f"no daemon runs on {name}")

    def stop_daemon(self, name: str) -> None:
        """As an init system does; returns once it is gone."""
        os.kill(self.daemon(name), signal.SIGTERM)
        wait_for("the daemon gone", lambda: not any(" daemon" in c for c in self.host(name).processes().values()))

    def follower(self) -> str:
        """The host of a manager that does not lead."""
        leader = self.leader()
        return next(host.name for host in self.hosts if host.name.startswith("m") and host.name != leader)

    def error(self, name: str) -> str:
        """What `info` on the host says is wrong with it."""
        said = self.pyswarm(name, "info", check=False)
        return said.partition(" Error: ")[2].partition("\n")[0]

    def wait_for_error(self, name: str, text: str) -> None:
        wait_for(f"{name} says {text!r}", lambda: text in self.error(name))


def patiently(condition: Callable[[], Any]) -> Callable[[], Any]:
    """A condition that asks the API: what fails while a leader is chosen is asked again."""

    def ask() -> Any:
        try:
            return condition()
        except (PyswarmError, TimeoutError):
            return None

    return ask


def fetch(address: str, port: int, timeout: float = 2.0) -> str:
    """The body of GET / on address:port, empty if there is none within `timeout` seconds."""
    connection = HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.read().decode().strip() if response.status == 200 else ""
    except (OSError, HTTPException):
        time.sleep(0.05)
        return ""
    finally:
        connection.close()


@contextmanager
def new_hosts(managers: int, workers: int) -> Iterator[Cluster]:
    """Hosts with engines, in no cluster; those of an earlier run are taken away first."""
    lab = Lab(CONFIG)
    lab.down()
    try:
        lab.up(managers, workers)
        yield Cluster(lab)
    finally:
        lab.down()
