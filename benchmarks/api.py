"""Docker's API as its clients load it: one real manager with 100 services on 5 nodes with fake engines.

`python -m benchmarks.api [--services 100] [--only NAME]...`; prints JSON, each figure with its target and whether it is
met. The daemon's part (manager, API) is this process, clients and agents are others. `constant` is the same server's
handler that answers with as many bytes, made before: what HTTP alone costs.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import psutil
import uvloop
from aiohttp import web

from benchmarks.fleet import _create, _ready, _until, agents_apart, leader
from benchmarks.report import publish, say, summary
from core.interpreter import tune_interpreter
from core.logs import configure
from core.model import TaskState
from manager.control import ControlApi
from manager.manager import Manager
from pyswarm.engineapi.app import make_app
from pyswarm.engineapi.ports import LocalNode
from pyswarm.engineapi.server import Server

NODES = 5
REPLICAS = 2
SECONDS = 8.0
WAITING = 20
"""Commands that wait for a service, as `docker service create` does."""
POLLS = 14.0
"""A second, of each of them, for the service, for its tasks and for the nodes: thrice what docker's command sends."""
UPDATES = 400

SERVICES_PER_S = 250.0
WAITING_CPU_PERCENT = 40.0
UPDATE_MS = 4.0
UPDATES_PER_S = 250.0


class _Node:
    """Of NodeApi, what the measured calls need."""

    engine_url = "unix:///run/no-engine-here.sock"

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def control(self) -> ControlApi:
        return self._manager.control

    def status(self) -> LocalNode:
        return LocalNode(state="active", is_manager=True)


@asynccontextmanager
async def served(manager: Manager) -> AsyncIterator[Path]:
    """The socket of the API, with a handler /constant beside."""
    constant = b""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=constant, headers={"Content-Type": "application/json"})

    app = make_app(_Node(manager))  # type: ignore[arg-type]
    app.router.add_get("/constant", answer)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "api.sock"
        server = Server(app, path)
        await server.start()
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client,
                client.get("http://api/v1.44/services?status=true") as response,
            ):
                constant = await response.read()
            yield path
        finally:
            await server.stop()


async def elsewhere(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` returns, run in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send, args=(theirs, work, arguments), daemon=True)
    process.start()
    try:
        return await asyncio.to_thread(ours.recv)
    finally:
        process.join()


def _send(connection: Any, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
    connection.send(uvloop.run(work(*arguments)))


async def get_for(path: Path, target: str, seconds: float, connections: int = 4) -> tuple[float, int]:
    """Answers a second, and the size of one."""
    count, size = 0, 0

    async def ask(client: aiohttp.ClientSession, end: float) -> None:
        nonlocal count, size
        while time.monotonic() < end:
            async with client.get(f"http://api{target}") as response:
                assert response.status == 200
                size = len(await response.read())
            count += 1

    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client:
        begin = time.monotonic()
        await asyncio.gather(*(ask(client, begin + seconds) for _ in range(connections)))
        return count / (time.monotonic() - begin), size


async def poll_for(path: Path, service: str, seconds: float) -> float:
    """Plays the waiting commands; requests a second that were answered."""
    filters = json.dumps({"_up-to-date": {"true": True}, "service": {service: True}})
    targets = (f"/services/{service}?insertDefaults=false", f"/tasks?filters={filters}", "/nodes")
    count = 0

    async def wait(client: aiohttp.ClientSession, end: float) -> None:
        nonlocal count
        while time.monotonic() < end:
            begin = time.monotonic()
            for target in targets:
                async with client.get(f"http://api/v1.44{target}") as response:
                    await response.read()
                count += 1
            await asyncio.sleep(max(0.0, begin + 1 / POLLS - time.monotonic()))

    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client:
        begin = time.monotonic()
        await asyncio.gather(*(wait(client, begin + seconds) for _ in range(WAITING)))
        return count / (time.monotonic() - begin)


async def update_labels(path: Path, service: str, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each pair of a GET and a POST, one after the other, and of the POST alone."""
    both, posts = [], []
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client:
        for number in range(count):
            begin = time.monotonic()
            async with client.get(f"http://api/v1.44/services/{service}") as response:
                found = await response.json()
            middle = time.monotonic()
            found["Spec"]["Labels"] = {"number": str(number)}
            target = f"http://api/v1.44/services/{service}/update?version={found['Version']['Index']}"
            async with client.post(target, json=found["Spec"]) as response:
                assert response.status == 200, await response.text()
            end = time.monotonic()
            both.append(1000 * (end - begin))
            posts.append(1000 * (end - middle))
    return both, posts


def verdict(value: float, target: float, *, most: bool = False) -> dict[str, Any]:
    met = value <= target if most else value >= target
    return {"value": round(value, 2), "target": f"{'<=' if most else '>='} {target:g}", "met": met}


async def services(manager: Manager, path: Path) -> dict[str, Any]:
    """Lists of all services with their counts of tasks."""
    rate, size = await elsewhere(get_for, path, "/v1.44/services?status=true", SECONDS)
    constant, _ = await elsewhere(get_for, path, "/constant", SECONDS)
    return {
        "lists_per_s": verdict(rate, SERVICES_PER_S),
        "bytes": size,
        "constant_per_s": round(constant, 1),
        "ratio_to_constant": round(rate / constant, 3),
    }


async def waiting(manager: Manager, path: Path) -> dict[str, Any]:
    """What commands that wait cost the daemon's process, in per cent of a core, beside its idling."""
    own, service = psutil.Process(), next(iter(manager.store.services()))
    idle = await _cpu_percent(own, asyncio.sleep(SECONDS))
    polling = asyncio.create_task(elsewhere(poll_for, path, service.id, SECONDS + 4))
    await asyncio.sleep(2)  # the process starts
    busy = await _cpu_percent(own, asyncio.sleep(SECONDS))
    rate = await polling
    return {
        "commands": WAITING,
        "requests_per_s": round(rate, 1),
        "cpu_percent": verdict(busy, WAITING_CPU_PERCENT, most=True),
        "idle_cpu_percent": round(idle, 1),
    }


async def _cpu_percent(process: psutil.Process, period: Any) -> float:
    begin, used = time.monotonic(), sum(process.cpu_times()[:2])
    await period
    return 100 * (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - begin)


async def label_updates(manager: Manager, path: Path) -> dict[str, Any]:
    """Changes of a label, each a GET and a POST that is in the log when it is answered. Beside them, what the daemon's
    process used of a processor for each, and what the disk took to keep as much by itself before and after."""
    service, own = next(iter(manager.store.services())), psutil.Process()
    floor = await asyncio.to_thread(_syncs, path.parent)
    used = sum(own.cpu_times()[:2])
    both, posts = await elsewhere(update_labels, path, service.id, UPDATES)
    used = sum(own.cpu_times()[:2]) - used
    floor += await asyncio.to_thread(_syncs, path.parent)
    shown = summary(both)
    return {
        "pair_ms": shown,
        "post_ms": summary(posts),
        "daemon_cpu_ms_each": round(1000 * used / UPDATES, 2),
        "fdatasync_ms": summary(floor),
        "p50_ms": verdict(shown["median"], UPDATE_MS, most=True),
        "per_s": verdict(1000 * len(both) / sum(both), UPDATES_PER_S),
    }


def _syncs(folder: Path) -> list[float]:
    """Milliseconds of appending an entry's worth to a file and keeping it, one after the other."""
    taken = []
    with (folder / "floor").open("ab", buffering=0) as file:
        for _ in range(UPDATES // 2):
            begin = time.monotonic()
            file.write(bytes(512))
            os.fdatasync(file.fileno())
            taken.append(1000 * (time.monotonic() - begin))
    return taken


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, Any] = {"services_count": arguments.services, "replicas": REPLICAS}
    parts = {"services": services, "waiting": waiting, "label_updates": label_updates}
    async with (
        leader(NODES) as (manager, authority, node_ids),
        agents_apart(authority, node_ids, 1),
    ):
        await _until(manager, lambda: _ready(manager) >= NODES)
        for number in range(arguments.services):
            await _create(manager, f"service-{number}", REPLICAS)
        await _until(manager, partial(_running, manager, REPLICAS * arguments.services))
        async with served(manager) as path:
            for name, part in parts.items():
                if not arguments.only or name in arguments.only:
                    results[name] = await part(manager, path)
                    say(f"{name}: {results[name]}")
    return results


def _running(manager: Manager, count: int) -> bool:
    return sum(task.status.state is TaskState.RUNNING for task in manager.store.tasks()) >= count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument("--only", action="append", help="the name of a result")
    arguments = parser.parse_args()
    configure(level="error")
    tune_interpreter()
    publish("api", uvloop.run(measure(arguments)))


if __name__ == "__main__":
    main()
