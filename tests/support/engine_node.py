"""A worker's tasks on a real engine, as an agent runs them."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.clock import SteadyClock
from core.ids import new_id
from core.model import ContainerSpec, LogOptions, PortConfig, ResourceRequirements, Resources, Task, TaskSpec, TaskState
from tests.support.engine import PrivateEngine, engine
from tests.support.waiting import eventually
from worker.database import Database, MemoryDatabase
from worker.dependencies import Dependencies
from worker.executor.docker import DockerExecutor
from worker.executor.docker.files import TaskFiles
from worker.reporter import Reporter
from worker.worker import Worker

__all__ = ["SLEEP", "Node", "engine", "make_task", "node", "node_on"]

SLEEP = ("sleep", "1000")


def make_task(
    *args: str,
    ports: tuple[PortConfig, ...] = (),
    resources: Resources | None = None,
    template: dict[str, Any] | None = None,
    **spec: Any,
) -> Task:
    """`spec` are fields of its container, `resources` its limits, `template` other fields of its TaskSpec."""
    container = ContainerSpec(args=args, **({"image": "busybox", "stop_grace_period": 0} | spec))
    requirements = ResourceRequirements(limits=resources) if resources is not None else None
    return Task(
        id=new_id(),
        service_id="service-1",
        service_name="web",
        slot=1,
        node_id="node-1",
        spec=TaskSpec(**{"container": container, "resources": requirements} | (template or {})),
        ports=ports,
        desired_state=TaskState.RUNNING,
    )


class Node:
    """A worker on the engine, as an agent runs it."""

    def __init__(self, url: str, database: Database, cluster_id: str = "cluster-1") -> None:
        self.executor = DockerExecutor(cluster_id, "node-1", TaskFiles(Path("/nowhere"), Dependencies()), url)
        self.worker = Worker(self.executor, database, Reporter(), SteadyClock())

    async def until(self, task: Task, state: TaskState):
        manager = self.worker.tasks[task.id]
        await eventually(f"{task.id} is {state.name}", lambda: manager.status.state >= state)
        return manager.status

    async def run(self, task: Task):
        """Its status once it runs, or failed to."""
        self.worker.update([task], [])
        return await self.until(task, TaskState.RUNNING)

    def want(self, task: Task, desired: TaskState) -> None:
        self.worker.update([dataclasses.replace(task, desired_state=desired)], [])

    async def log(self, task: Task, **options) -> list[bytes]:
        return [line.data async for line in self.worker.tasks[task.id].controller.logs(LogOptions(**options))]


@asynccontextmanager
async def node_on(engine: PrivateEngine, database: Database | None = None, **options) -> AsyncIterator[Node]:
    """The node as long as its daemon lives; its containers stay."""
    node = Node(engine.url, database or MemoryDatabase(), **options)
    following = asyncio.create_task(node.executor.run())
    node.worker.resume()
    yield node
    await node.worker.close()
    following.cancel()
    await asyncio.wait([following])
    await node.executor.close()


@pytest.fixture
async def node(engine: PrivateEngine) -> AsyncIterator[Node]:
    async with node_on(engine) as running:
        yield running
        engine.start()
        await running.worker.remove_everything()
