"""The whole product on five hosts, beside Docker's own swarm mode on the same hosts, one after the other.

`python -m benchmarks.cluster [--peer docker|none] [--only NAME]...` as root; prints JSON.
"""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import summary
from benchmarks.sides import Measure, compare
from benchmarks.target import Target
from pyswarm.cli.client import Client
from pyswarm.dev import Host


def one_replica(target: Target) -> dict[str, Any]:
    """Seconds from the request to the first task's assignment, and to its running."""
    api = target.api(target.leader())
    assigned, running = [], []
    for number in range(10):
        begin = time.monotonic()
        service = target.create(api, f"one-{number}", 1)
        target.wait(lambda service=service: any(t.get("NodeID") for t in target.tasks(api, service)), pause=0.001)
        assigned.append(time.monotonic() - begin)
        target.wait(lambda service=service: target.running(api, service) == 1, pause=0.005)
        running.append(time.monotonic() - begin)
        target.remove(api, service)
    return {"assigned_s": summary(assigned), "running_s": summary(running)}


def fifty_replicas(target: Target) -> dict[str, Any]:
    """Seconds until 50 replicas run, and until the bare engines have started as many by themselves."""
    api = target.api(target.leader())
    service_seconds, bare_seconds = [], []
    for number in range(3):
        begin = time.monotonic()
        service = target.create(api, f"fifty-{number}", 50)
        target.wait(lambda service=service: target.running(api, service) == 50, pause=0.1)
        service_seconds.append(time.monotonic() - begin)
        target.remove(api, service)
        bare_seconds.append(_bare_engines(target.hosts, 50))
    return {"service_s": summary(service_seconds), "bare_engines_s": summary(bare_seconds)}


def _bare_engines(hosts: Sequence[Host], count: int) -> float:
    """The floor: containers created and started through the engines' own API, two at a time on each."""
    body = {"Image": "busybox:latest", "Cmd": ["sleep", "100000"]}
    started: list[tuple[Client, str]] = []

    def work(api: Client, share: int) -> None:
        for _ in range(share):
            container = api.post("/containers/create", body)["Id"]
            api.post(f"/containers/{container}/start")
            started.append((api, container))

    per_thread = max(1, count // len(hosts) // 2)
    threads = [
        threading.Thread(target=work, args=(Client(f"unix://{host.path('/run/docker.sock')}", "v1.41"), per_thread))
        for host in hosts
        for _ in range(2)
    ]
    seconds = _together(threads)
    for api, container in started:
        api.delete(f"/containers/{container}", {"force": True})
    return seconds


def label_updates(target: Target) -> dict[str, Any]:
    """200 sequential label updates, each a GET and a POST, at the leader: milliseconds each, and how many a second."""
    api = target.api(target.leader())
    service = target.create(api, "labelled", 0)
    milliseconds = []
    for number in range(200):
        begin = time.monotonic()
        current = api.get(f"/services/{service}")
        current["Spec"]["Labels"] = {"n": str(number)}
        api.post(f"/services/{service}/update", current["Spec"], {"version": current["Version"]["Index"]})
        milliseconds.append((time.monotonic() - begin) * 1000)
    target.remove(api, service)
    return {"ms": summary(milliseconds), "per_s": round(1000 * len(milliseconds) / sum(milliseconds), 1)}


def eight_creating(target: Target) -> dict[str, Any]:
    """Services without replicas created by 8 clients at once: how many a second."""
    leader = target.leader()
    created: list[str] = []

    def work(client: int) -> None:
        api = target.api(leader)
        for number in range(50):
            created.append(target.create(api, f"empty-{client}-{number}", 0))

    seconds = _together([threading.Thread(target=work, args=(client,)) for client in range(8)])
    api = target.api(leader)
    for service in created:
        api.delete(f"/services/{service}")
    return {"per_s": round(len(created) / seconds, 1)}


def worker_lost(target: Target) -> dict[str, Any]:
    """Seconds from a worker's power loss until all replicas run elsewhere."""
    api = target.api(target.leader())
    seconds = []
    for number in range(3):
        service = target.create(api, f"moving-{number}", 10)
        target.wait(lambda service=service: target.running(api, service) == 10, pause=0.05)
        victim = target.lab.host("w2")
        lost = next(n["ID"] for n in api.get("/nodes") if n["Description"]["Hostname"] == "w2")
        begin = time.monotonic()
        victim.poweroff()

        def moved(service: str = service, lost: str = lost) -> bool:
            tasks = target.tasks(api, service)
            alive = [t for t in tasks if t["Status"]["State"] == "running" and t["DesiredState"] == "running"]
            return len(alive) == 10 and all(task["NodeID"] != lost for task in alive)

        target.wait(moved, pause=0.02)
        seconds.append(time.monotonic() - begin)
        victim.boot()
        victim.wait_for_engine()
        target.wait(lambda: target.count_ready() == len(target.hosts), pause=0.1)
        target.remove(api, service)
    return {"s": summary(seconds)}


def leader_killed(target: Target) -> dict[str, Any]:
    """Seconds from kill -9 of the leader until a write at another manager is accepted."""
    seconds = []
    for number in range(5):
        leader = target.leader()
        other = next(host for host in target.hosts if host.name.startswith("m") and host.name != leader.name)
        api = target.api(other)
        begin = time.monotonic()
        target.kill_daemon(leader)

        def write(api: Client = api, number: int = number) -> str:
            return target.create(api, f"after-{number}-{time.monotonic_ns()}", 0)

        target.wait(write, pause=0.02)
        seconds.append(time.monotonic() - begin)
        target.start_daemon(leader)
        target.wait(lambda: target.count_ready() == len(target.hosts), pause=0.1)
    return {"s": summary(seconds)}


def footprint(target: Target) -> dict[str, Any]:
    """Memory (PSS, MB) of each host's processes, and CPU (percent of a core) of the leader, idle for 20 s."""
    leader = target.leader()
    time.sleep(5)
    before = {pid: _cpu_seconds(pid) for pid in target.pids(leader)}
    time.sleep(20)
    idle = {pid: (_cpu_seconds(pid) - used) / 20 * 100 for pid, used in before.items()}
    memory = {}
    for host in target.hosts:
        memory[host.name] = [round(_pss_mb(pid), 1) for pid in target.pids(host)]
    return {
        "pss_mb": memory,
        "leader": leader.name,
        "leader_idle_cpu_percent": [round(percent, 2) for percent in idle.values()],
        "processes": target.processes,
    }


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _together(threads: Sequence[threading.Thread]) -> float:
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - begin


MEASURES: dict[str, Measure] = {
    "footprint": footprint,
    "one_replica": one_replica,
    "fifty_replicas": fifty_replicas,
    "label_updates": label_updates,
    "eight_creating": eight_creating,
    "worker_lost": worker_lost,
    "leader_killed": leader_killed,
}


if __name__ == "__main__":
    compare("cluster", __doc__, MEASURES)
