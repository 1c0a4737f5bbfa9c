"""A cluster under measurement: pyswarm's or Docker's own. Both speak the same API, so one program measures both."""

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import PyswarmError
from pyswarm.cli.client import Client
from pyswarm.dev import Host, Lab

PATIENCE = 120.0


class Target(ABC):
    """Three managers m1..m3 and workers w1.., formed when it is made."""

    name = ""
    socket = ""
    version = "v1.44"
    processes: tuple[str, ...] = ()
    """Parts of the command lines of the processes whose memory and CPU count."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.hosts = lab.hosts
        self.form()

    def form(self) -> None:
        first, *others = self.hosts
        address = f"{first.address}:2377"
        self.api(first).post("/swarm/init", {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": first.address, "Spec": {}})
        for host in others:
            tokens = self.api(first).get("/swarm")["JoinTokens"]
            body = {
                "ListenAddr": "0.0.0.0:2377",
                "AdvertiseAddr": host.address,
                "RemoteAddrs": [address],
                "JoinToken": tokens["Manager" if host.name.startswith("m") else "Worker"],
            }
            self.api(host).post("/swarm/join", body)
        self.wait(lambda: self.count_ready() == len(self.hosts))

    def api(self, host: Host) -> Client:
        return Client(f"unix://{host.path(self.socket)}", self.version)

    def kill_daemon(self, host: Host) -> None:
        os.kill(self.pids(host)[0], signal.SIGKILL)

    @abstractmethod
    def start_daemon(self, host: Host) -> None: ...

    def pids(self, host: Host) -> list[int]:
        """Of the measured processes, the daemon's first."""
        found = host.processes()
        return [pid for part in self.processes for pid, command in found.items() if part in command]

    def leader(self) -> Host:
        def ask() -> Host | None:
            for host in self.hosts:
                if host.pid is None or not host.name.startswith("m"):
                    continue
                try:
                    nodes = self.api(host).get("/nodes")
                except PyswarmError:
                    continue
                for node in nodes:
                    if (node.get("ManagerStatus") or {}).get("Leader"):
                        return self.lab.host(node["Description"]["Hostname"])
            return None

        return self.wait(ask)

    def count_ready(self) -> int:
        nodes = self.api(self.hosts[0]).get("/nodes")
        return sum(node["Status"]["State"] == "ready" for node in nodes)

    def create(self, api: Client, name: str, replicas: int, **extra: Any) -> str:
        spec = {
            "Name": name,
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": "busybox:latest",
                    "Args": ["sleep", "100000"],
                    "StopGracePeriod": 1_000_000_000,
                },
                **extra,
            },
            "Mode": {"Replicated": {"Replicas": replicas}},
        }
        created: str = api.post("/services/create", spec)["ID"]
        return created

    def tasks(self, api: Client, service: str) -> list[Any]:
        found: list[Any] = api.get("/tasks", {"filters": {"service": {service: True}}})
        return found

    def running(self, api: Client, service: str) -> int:
        return sum(
            task["Status"]["State"] == "running" and task["DesiredState"] == "running"
            for task in self.tasks(api, service)
        )

    def remove(self, api: Client, service: str) -> None:
        api.delete(f"/services/{service}")
        # A filter by a service that is gone is an error.
        self.wait(lambda: all(task["ServiceID"] != service for task in api.get("/tasks")))

    def wait(self, condition: Callable[[], Any], pause: float = 0.01) -> Any:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if value := condition():
                    return value
            except (PyswarmError, OSError):
                pass
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name}: not within {PATIENCE:g} s")
            time.sleep(pause)


class Pyswarm(Target):
    name = "pyswarm"
    socket = "/run/pyswarm/pyswarm.sock"
    processes = ("pyswarm daemon", "ingress.relay")

    def form(self) -> None:
        for host in self.hosts:
            self.start_daemon(host)
            self.wait(lambda host=host: self.api(host).is_up())
        super().form()

    def start_daemon(self, host: Host) -> None:
        host.start_daemon()


class DockerSwarm(Target):
    """The engines' own swarm mode."""

    name = "docker"
    socket = "/run/docker.sock"
    version = "v1.41"
    processes = ("dockerd --host",)

    def start_daemon(self, host: Host) -> None:
        Path(host.path("/run/docker.pid")).unlink(missing_ok=True)
        host.start_engine()
        host.wait_for_engine()
