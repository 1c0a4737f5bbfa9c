"""One real manager and many real agents with fake engines, over real session streams with mutual TLS.

`python -m benchmarks.fleet [--agents 1000] [--replicas 10000] [--processes 1|--within] [--only NAME]...`; prints JSON.
The manager lives in this process, the agents in others; with `--within` they share its loop, without a network.
"""

import argparse
import asyncio
import multiprocessing
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import uvloop

from benchmarks.agents import Authority, run_agents, run_fleet
from benchmarks.direct import directly
from benchmarks.report import publish, say, summary
from core.clock import SteadyClock
from core.ids import new_id
from core.interpreter import tune_interpreter
from core.logs import configure
from core.model import (
    ContainerSpec,
    EndpointSpec,
    Node,
    NodeSpec,
    NodeState,
    PortConfig,
    Role,
    Service,
    ServiceSpec,
    Task,
    TaskSpec,
    TaskState,
)
from manager.ca import new_cluster
from manager.config import Founding, ManagerConfig
from manager.dispatcher import DispatcherServicer
from manager.manager import Manager
from manager.store import Commit

PORT = 24377
IDLE_SECONDS = 20.0
_PATIENCE = 180.0
_BATCH = 500
"""Nodes in one log entry."""
_TICK = 0.002

Fleet = Sequence[psutil.Process]
"""The processes of the agents."""
Part = Callable[[Manager, Fleet], Awaitable[dict[str, Any]]]


class Progress:
    """How far the tasks of one service have come, as the store's commits tell."""

    def __init__(self, manager: Manager) -> None:
        self._changed = asyncio.Event()
        self._unwatch = manager.store.watch(self._take)
        self._tasks: dict[str, TaskState] = {}

    def _take(self, commit: Commit) -> None:
        for event in commit.events:
            if isinstance(event.object, Task):
                self._tasks[event.object.id] = event.object.status.state
        self._changed.set()

    async def reached(self, state: TaskState, count: int) -> float:
        """The monotonic time at which `count` tasks were at `state` or beyond."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                if len(self._tasks) >= count and sum(at >= state for at in self._tasks.values()) >= count:
                    return time.monotonic()
                self._changed.clear()
                await self._changed.wait()

    def close(self) -> None:
        self._unwatch()


class LoopWatch:
    """The longest time, in CPU milliseconds of the loop's thread, that other work was not let in."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(_TICK)
            now = time.thread_time()
            self.longest = max(self.longest, 1000 * (now - last))
            last = now

    def stop(self) -> float:
        self._task.cancel()
        return round(self.longest, 1)


@asynccontextmanager
async def leader(agents: int) -> AsyncIterator[tuple[Manager, Authority, list[str]]]:
    """A manager alone in its cluster, which knows of as many nodes."""
    cluster = new_cluster(time.time_ns(), new_id)
    authority = Authority(cluster.id, cluster.root_ca.cert, cluster.root_ca.key)
    own = Node(id=new_id(), role=Role.MANAGER, spec=NodeSpec(role=Role.MANAGER))
    with TemporaryDirectory() as folder:
        config = ManagerConfig(Path(folder), f"127.0.0.1:{PORT}", "127.0.0.1", PORT)
        manager = Manager(config, authority.credentials(own.id, Role.MANAGER), SteadyClock(), founding=True)
        await manager.start(Founding(cluster, own), ())
        try:
            node_ids = [new_id() for _ in range(agents)]
            await _add_nodes(manager, node_ids)
            yield manager, authority, node_ids
        finally:
            await manager.stop()


@asynccontextmanager
async def agents_apart(authority: Authority, node_ids: Sequence[str], processes: int) -> AsyncIterator[Fleet]:
    """Agents in processes of their own, over gRPC with mutual TLS."""
    spawn = multiprocessing.get_context("spawn")
    shares = [(authority, node_ids[number::processes], f"127.0.0.1:{PORT}") for number in range(processes)]
    children = [spawn.Process(target=run_fleet, args=share, daemon=True) for share in shares]
    try:
        for child in children:
            child.start()
        yield [psutil.Process(child.pid) for child in children]
    finally:
        for child in children:
            child.kill()
            child.join()


@asynccontextmanager
async def agents_within(manager: Manager, authority: Authority, node_ids: Sequence[str]) -> AsyncIterator[Fleet]:
    """Agents on the manager's own loop, without a network."""
    servicer = DispatcherServicer(manager._dispatcher, manager._logs)
    running = asyncio.create_task(run_agents(authority, node_ids, partial(directly, servicer), "here"))
    try:
        yield []
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _add_nodes(manager: Manager, node_ids: Sequence[str]) -> None:
    for begin in range(0, len(node_ids), _BATCH):
        batch = node_ids[begin : begin + _BATCH]
        await manager._replicator.update(lambda tx, batch=batch: [tx.create(Node(id=node_id)) for node_id in batch])


async def _until(manager: Manager, condition: Callable[[], bool]) -> None:
    """Looks again after every commit."""
    changed = asyncio.Event()
    unwatch = manager.store.watch(lambda commit: changed.set())
    try:
        async with asyncio.timeout(_PATIENCE):
            while not condition():
                changed.clear()
                await changed.wait()
    finally:
        unwatch()


def _ready(manager: Manager) -> int:
    return sum(node.status.state is NodeState.READY for node in manager.store.nodes())


async def _create(manager: Manager, name: str, replicas: int, published: bool = False) -> Service:
    endpoint = EndpointSpec(ports=(PortConfig(target_port=80),)) if published else None
    task = TaskSpec(container=ContainerSpec(image="fake"))
    spec = ServiceSpec(name, task=task, replicas=replicas, endpoint=endpoint)
    return await manager.control.create_service(spec, secrets.token_bytes(16))


async def _remove(manager: Manager, service: Service) -> None:
    await manager.control.remove_service(service.id)
    await _until(manager, lambda: not any(True for _ in manager.store.tasks()))


async def one_replica(manager: Manager, agents: Fleet) -> dict[str, Any]:
    """Milliseconds from the request until the task is assigned, and until it runs."""
    assigned, running = [], []
    for number in range(20):
        progress = Progress(manager)
        begin = time.monotonic()
        service = await _create(manager, f"one-{number}", 1)
        assigned.append(1000 * (await progress.reached(TaskState.ASSIGNED, 1) - begin))
        running.append(1000 * (await progress.reached(TaskState.RUNNING, 1) - begin))
        progress.close()
        await _remove(manager, service)
    return {"assigned_ms": summary(assigned), "running_ms": summary(running)}


async def many_replicas(manager: Manager, agents: Fleet, replicas: int, published: bool = False) -> dict[str, Any]:
    """Seconds until all replicas of one new service have a node, and until all run; then until all are gone.

    If they are published every node is told of every replica, and each is drained before it stops.
    """
    watch, progress = LoopWatch(), Progress(manager)
    own, others = _cpu([psutil.Process()]), _cpu(agents)
    begin = time.monotonic()
    service = await _create(manager, "many", replicas, published)
    assigned = await progress.reached(TaskState.ASSIGNED, replicas) - begin
    until_assigned = _cpu([psutil.Process()]) - own
    running = await progress.reached(TaskState.RUNNING, replicas) - begin
    result = {
        "replicas": replicas,
        "scheduled_s": round(assigned, 2),
        "scheduled_leader_cpu_s": round(until_assigned, 2),
        "running_s": round(running, 2),
        "running_leader_cpu_s": round(_cpu([psutil.Process()]) - own, 2),
        "running_agents_cpu_s": round(_cpu(agents) - others, 2),
        "longest_hold_ms": watch.stop(),
    }
    progress.close()
    begin = time.monotonic()
    await _remove(manager, service)
    return result | {"gone_s": round(time.monotonic() - begin, 2)}


async def idle(manager: Manager, agents: Fleet) -> dict[str, Any]:
    """What heartbeats alone cost the leader, in per cent of one core, and its memory."""
    own = psutil.Process()
    begin, used, others = time.monotonic(), _cpu([own]), _cpu(agents)
    await asyncio.sleep(IDLE_SECONDS)
    seconds = time.monotonic() - begin
    return {
        "leader_cpu_percent": round(100 * (_cpu([own]) - used) / seconds, 1),
        "agents_cpu_percent": round(100 * (_cpu(agents) - others) / seconds, 1),
        "leader_pss_mb": round(own.memory_full_info().pss / 2**20, 1),
    }


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, Any] = {"agents": arguments.agents}
    parts: dict[str, Part] = {
        "one_replica": one_replica,
        "idle": idle,
        "many_replicas": partial(many_replicas, replicas=arguments.replicas),
        "published_replicas": partial(many_replicas, replicas=arguments.replicas // 100, published=True),
    }
    async with leader(arguments.agents) as (manager, authority, node_ids):
        begin = time.monotonic()
        if arguments.within:
            coming = agents_within(manager, authority, node_ids)
        else:
            coming = agents_apart(authority, node_ids, arguments.processes)
        async with coming as fleet:
            await _until(manager, lambda: _ready(manager) >= arguments.agents)
            results["registered_s"] = round(time.monotonic() - begin, 2)
            for name, part in parts.items():
                if not arguments.only or name in arguments.only:
                    results[name] = await part(manager, fleet)
                    say(f"{name}: {results[name]}")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--replicas", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=1, help="that share the agents")
    parser.add_argument("--within", action="store_true", help="agents and manager in one process, without a network")
    parser.add_argument("--only", action="append", help="the name of a result")
    arguments = parser.parse_args()
    configure(level="error")
    tune_interpreter()
    publish("fleet", uvloop.run(measure(arguments)))


if __name__ == "__main__":
    main()
