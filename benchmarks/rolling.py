"""Services that change: rolling updates, rollbacks, scaling, and containers that crash; beside Docker's own swarm mode.

`python -m benchmarks.rolling [--peer docker|none] [--only NAME]...` as root; prints JSON with verdicts.
"""

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.cluster import eight_creating, label_updates
from benchmarks.report import summary
from benchmarks.sides import Bound, compare
from benchmarks.target import Target
from core.errors import PyswarmError
from pyswarm.cli.client import Client

STAY = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"]
"""Ends as soon as it is told to: what is measured is the orchestrator's time, and the engine's."""


def rolling_update(target: Target) -> dict[str, Any]:
    """20 replicas, 2 at a time, stop-first: seconds until all new tasks run, then, rolled back, all old ones again."""
    api = target.api(target.leader())
    updated, rolled_back = [], []
    for number in range(3):
        service = _create(target, api, f"rolling-{number}", 20)
        begin = time.monotonic()
        _change(api, service, lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Env=["NEW=1"]))
        target.wait(lambda service=service: _running_with(target, api, service, ["NEW=1"]) == 20, pause=0.05)
        updated.append(time.monotonic() - begin)
        _settled(target, api, service, "completed")
        begin = time.monotonic()
        _change(api, service, lambda spec: None, rollback="previous")
        target.wait(lambda service=service: _running_with(target, api, service, None) == 20, pause=0.05)
        rolled_back.append(time.monotonic() - begin)
        _settled(target, api, service, "rollback_completed")
        target.remove(api, service)
    return {"all_new_s": summary(updated), "all_old_again_s": summary(rolled_back)}


def scale(target: Target) -> dict[str, Any]:
    """Seconds from 10 to 100 running replicas, and back until only 10 containers are left."""
    api = target.api(target.leader())
    up, down = [], []
    for number in range(2):
        service = _create(target, api, f"scaled-{number}", 10)
        begin = time.monotonic()
        _scale(api, service, 100)
        target.wait(lambda service=service: target.running(api, service) == 100, pause=0.05)
        up.append(time.monotonic() - begin)
        begin = time.monotonic()
        _scale(api, service, 10)
        target.wait(lambda: sum(len(_containers(engine)) for engine in _engines(target)) == 10, pause=0.05)
        down.append(time.monotonic() - begin)
        target.remove(api, service)
    return {"up_s": summary(up), "down_s": summary(down)}


def crash(target: Target) -> dict[str, Any]:
    """Seconds from a container's kill until another runs in its place, without a restart delay."""
    api = target.api(target.leader())
    service = _create(target, api, "crashing", 5)
    seconds = []
    for _ in range(10):
        before = _running_ids(target, api, service)
        engine, victim = next((engine, found[0]) for engine in _engines(target) if (found := _containers(engine)))
        begin = time.monotonic()
        engine.post(f"/containers/{victim}/kill")
        target.wait(lambda before=before: _is_replaced(before, _running_ids(target, api, service)), pause=0.01)
        seconds.append(time.monotonic() - begin)
    target.remove(api, service)
    return {"s": summary(seconds)}


def _create(target: Target, api: Client, name: str, replicas: int) -> str:
    spec = {
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": {"Image": "busybox:latest", "Args": STAY},
            "RestartPolicy": {"Condition": "any", "Delay": 0},
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {"Parallelism": 2},
        "RollbackConfig": {"Parallelism": 2},
    }
    service: str = api.post("/services/create", spec)["ID"]
    target.wait(lambda: target.running(api, service) == replicas, pause=0.05)
    return service


def _change(api: Client, service: str, change: Any, **query: str) -> None:
    """Asked again if a controller has written the service in between."""
    while True:
        current = api.get(f"/services/{service}")
        change(current["Spec"])
        try:
            api.post(f"/services/{service}/update", current["Spec"], {"version": current["Version"]["Index"], **query})
        except PyswarmError as error:
            if "out of sequence" not in error.message:
                raise
        else:
            return


def _scale(api: Client, service: str, replicas: int) -> None:
    _change(api, service, lambda spec: spec["Mode"]["Replicated"].update(Replicas=replicas))


def _settled(target: Target, api: Client, service: str, state: str) -> None:
    target.wait(lambda: api.get(f"/services/{service}").get("UpdateStatus", {}).get("State") == state, pause=0.1)


def _running_with(target: Target, api: Client, service: str, env: Sequence[str] | None) -> int:
    return sum(task["Spec"]["ContainerSpec"].get("Env") == env for task in _running(target, api, service))


def _running_ids(target: Target, api: Client, service: str) -> set[str]:
    return {task["ID"] for task in _running(target, api, service)}


def _running(target: Target, api: Client, service: str) -> list[Any]:
    tasks = target.tasks(api, service)
    return [task for task in tasks if task["Status"]["State"] == "running" and task["DesiredState"] == "running"]


def _is_replaced(before: set[str], now: set[str]) -> bool:
    return len(now) == len(before) and now != before


def _engines(target: Target) -> list[Client]:
    return [Client(f"unix://{host.path('/run/docker.sock')}", "v1.41") for host in target.hosts]


def _containers(engine: Client) -> list[str]:
    return [container["Id"] for container in engine.get("/containers/json")]


MEASURES = {
    "rolling_update": rolling_update,
    "scale": scale,
    "crash": crash,
    "label_updates": label_updates,
    "eight_creating": eight_creating,
}
BOUNDS = (
    Bound("rolling_update", "all_new_s.median", limit=9),
    Bound("rolling_update", "all_old_again_s.median", limit=9),
    Bound("scale", "up_s.median", of_docker=1.1),
    Bound("scale", "down_s.median", of_docker=1.1),
    Bound("crash", "s.median", of_docker=1.0),
    Bound("label_updates", "ms.median", limit=4),
    Bound("label_updates", "per_s", limit=250, at_least=True),
    Bound("eight_creating", "per_s", limit=334, at_least=True),
)

if __name__ == "__main__":
    compare("rolling", __doc__, MEASURES, BOUNDS)
