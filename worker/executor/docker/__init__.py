"""Tasks as containers of the local Docker Engine."""

import asyncio
import os
from collections.abc import Callable, Collection, Sequence

from core.model import GenericResource, NodeDescription, Platform, Task
from worker.executor import TaskError, TemporaryError
from worker.executor.docker.containers import Containers
from worker.executor.docker.controller import DockerController, Shared
from worker.executor.docker.describe import description
from worker.executor.docker.engine import DEFAULT_URL, Engine
from worker.executor.docker.files import TaskFiles
from worker.executor.docker.images import Images

CONCURRENCY_PER_CPU = 4
"""Containers created, started or removed at a time. Where the engine's own rate levelled off (2 CPUs; 50 containers:
4.9/s one at a time, 8.9/s with 4, 9.7/s with 8 and with 16); more only makes each slower."""


class DockerExecutor:
    """To be made on the loop. `cluster_id` and `node_id` tell its containers from those of others.
    `concurrency` 0 is what suits the machine. `generic_resources` are what the node has beside what its engine says."""

    def __init__(
        self,
        cluster_id: str,
        node_id: str,
        files: TaskFiles,
        url: str = DEFAULT_URL,
        concurrency: int = 0,
        generic_resources: Sequence[GenericResource] = (),
    ) -> None:
        self._engine = Engine(url)
        self._generic_resources = generic_resources
        self._containers = Containers(self._engine, cluster_id, node_id)
        self._shared = Shared(
            engine=self._engine,
            containers=self._containers,
            images=Images(self._engine),
            files=files,
            slots=asyncio.Semaphore(concurrency or CONCURRENCY_PER_CPU * (os.cpu_count() or 1)),
            cluster_id=cluster_id,
            node_id=node_id,
        )

    def resume(self, task_ids: Collection[str]) -> None:
        self._shared.files.sweep(task_ids)

    async def run(self) -> None:
        await self._containers.follow()

    async def close(self) -> None:
        self._shared.files.close()
        await self._engine.close()

    async def describe(self) -> NodeDescription:
        try:
            return description(await self._engine.info(), self._generic_resources)
        except (TaskError, TemporaryError) as error:
            host = os.uname()
            platform = Platform(architecture=host.machine, os=host.sysname.lower())
            return NodeDescription(hostname=host.nodename, platform=platform, engine_error=str(error))

    def on_change(self, callback: Callable[[], None]) -> None:
        self._containers.on_change = callback

    def controller(self, task: Task) -> DockerController:
        return DockerController(self._shared, task)

    async def adopted(self) -> Collection[str]:
        return self._containers.known()
