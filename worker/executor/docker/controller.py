"""Runs one task as a container."""

import asyncio
import dataclasses
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing, nullcontext
from typing import Any

from core.logs import logger
from core.model import ContainerStatus, LogLine, LogOptions, Task
from worker.executor import ExitError, TaskError, TemporaryError, UnhealthyError
from worker.executor.docker import logs
from worker.executor.docker.config import container_config, left_out
from worker.executor.docker.containers import Container, ContainerGone, Containers
from worker.executor.docker.engine import Engine, EngineError
from worker.executor.docker.files import TaskFiles
from worker.executor.docker.health import health_of_state, why_unhealthy
from worker.executor.docker.images import Images, looked_at
from worker.executor.docker.ports import published_ports
from worker.executor.docker.templates import Templates
from worker.machine import Observed

_NOT_FOUND = 404
_CONFLICT = 409
_EXIT_EVENT_TIMEOUT = 5.0
"""Seconds after a stop within which the engine's event with the exit code is waited for."""

log = logger("worker.docker")


class _NoImage(EngineError):
    """The image is not on this node."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shared:
    """What all controllers of a node have in common."""

    engine: Engine
    containers: Containers
    images: Images
    files: TaskFiles
    slots: asyncio.Semaphore
    """Bounds how many containers the engine creates, starts and removes at a time."""
    cluster_id: str
    node_id: str


class DockerController:
    def __init__(self, shared: Shared, task: Task) -> None:
        self._shared = shared
        self._task = task
        self._templates = Templates(shared.engine, task)
        self._observed = Observed()
        self._change: asyncio.Task[None] | None = None
        self._started = asyncio.Event()

    @property
    def observed(self) -> Observed:
        return self._observed

    async def prepare(self) -> None:
        if await self._find() is not None:
            return
        async with self._shared.files.given(self._task, self._templates.payload):
            try:
                await self._change_to(self._create)
            except _NoImage:
                spec = self._task.spec.container
                await self._shared.images.pull(spec.image, spec.registry_auth)
                await self._change_to(self._create)

    async def start(self) -> None:
        container = await self._find()
        started = container is not None and container.started
        async with nullcontext() if started else self._shared.files.given(self._task, self._templates.payload):
            await self._change_to(self._start)
        container = await self._running()
        await asyncio.wait((container.healthy, container.unhealthy, container.ended), return_when=FIRST_COMPLETED)
        await self._look_at(container)

    async def wait(self) -> None:
        container = await self._running()
        await asyncio.wait((container.unhealthy, container.ended), return_when=FIRST_COMPLETED)
        await self._look_at(container)

    async def shutdown(self) -> None:
        await self._change_done()
        container = await self._find()
        if container is not None and container.started:
            if not container.ended.done():
                await self._stop(container)
            if container.ended.done() and (code := container.ended.result()) is not None:
                self._note_exit(container, code)
        await self._shared.files.remove(self._task.id)

    async def remove(self) -> None:
        await self._change_done()
        container = await self._find()
        if container is not None:
            await self._remove(container)
        await self._shared.files.remove(self._task.id)

    async def logs(self, options: LogOptions) -> AsyncGenerator[LogLine, None]:
        container = await self._find()
        if options.follow and not (container is not None and container.started):
            await self._started.wait()
            container = await self._find()
        if container is None:
            return
        has_terminal = self._task.spec.container.tty
        async with (
            self._shared.engine.logs(container.id, logs.parameters(options)) as chunks,
            aclosing(
                logs.terminal_entries(chunks, options.details) if has_terminal else logs.entries(chunks)
            ) as entries,
        ):
            async for timestamp, stderr, data in entries:
                details, text = logs.details_of(data) if options.details else ("", data)
                ids = (self._task.service_id, self._shared.node_id, self._task.id)
                yield LogLine(*ids, timestamp, stderr, text, details)

    async def _running(self) -> Container:
        container = await self._find()
        if container is None or not container.started:
            raise ContainerGone
        return container

    async def _look_at(self, container: Container) -> None:
        """Raises what is wrong with a container that was started."""
        if container.ended.done():
            await self._shared.files.remove(self._task.id)
            code = container.ended.result()
            if code is None:
                raise ContainerGone
            self._note_exit(container, code)
            if code:
                raise ExitError(code, await self._cause(container))
        elif container.unhealthy.done():
            raise UnhealthyError(why_unhealthy((await self._shared.engine.inspect(container.id))["State"]))

    async def _find(self) -> Container | None:
        return await self._shared.containers.find(self._task.id)

    async def _change_to(self, change: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Once begun, `change` is seen through even if this call is cancelled: an engine asked to start something does
        start it, and whoever comes next must know what there is."""
        await self._change_done()
        async with self._shared.slots:
            self._change = asyncio.create_task(change())
            self._change.add_done_callback(looked_at)
            await asyncio.shield(self._change)

    async def _change_done(self) -> None:
        if self._change is not None and not self._change.done():
            await asyncio.wait([self._change])

    async def _create(self) -> None:
        shared, engine = self._shared, self._shared.engine
        task = await self._templates.task()
        config = container_config(task, shared.cluster_id, shared.node_id, await engine.api_version())
        config["HostConfig"]["Mounts"] = [*config["HostConfig"].get("Mounts", ()), *shared.files.binds(task)]
        try:
            container_id, warnings = await engine.create(task.name, config)
        except EngineError as error:
            if error.status == _CONFLICT:
                await shared.containers.adopt(task.id, task.name)
                return
            if "no such image" in str(error).lower():
                raise _NoImage(error.status, str(error)) from error
            raise
        if lost := left_out(config, warnings):
            await engine.remove(container_id)
            raise TaskError(f"this node cannot do what the service asks for: {lost}")
        shared.containers.add(task.id, container_id)

    async def _start(self) -> None:
        """A container that has been started, by a daemon before this one, is not started again: it may have ended."""
        container = await self._find()
        if container is None:
            raise ContainerGone
        try:
            if not container.started:
                await self._begin(container)
            seen = await self._shared.engine.inspect(container.id)
        except EngineError as error:
            if "no such container" in str(error).lower():
                raise ContainerGone from error
            raise
        self._started.set()
        self._note(seen)
        container.note(health_of_state(seen["State"]))

    async def _begin(self, container: Container) -> None:
        try:
            await self._shared.engine.start(container.id)
        except EngineError as error:
            if state := await self._state(container):
                self._note_exit(container, state["ExitCode"])
            raise EngineError(error.status, f"starting container failed: {error}") from error
        container.started = True

    async def _stop(self, container: Container) -> None:
        try:
            await self._shared.engine.stop(container.id)
        except EngineError as error:
            if error.status == _NOT_FOUND:
                return
            raise TemporaryError(f"cannot stop the container: {error}") from error
        try:
            async with asyncio.timeout(_EXIT_EVENT_TIMEOUT):
                await asyncio.shield(container.ended)
        except TimeoutError:
            log.warning("the engine did not tell the exit code", task=self._task.id)

    async def _remove(self, container: Container) -> None:
        try:
            async with self._shared.slots:
                await self._shared.engine.remove(container.id)
        except EngineError as error:
            if error.status != _NOT_FOUND:
                raise TemporaryError(f"cannot remove the container: {error}") from error
        self._shared.containers.forget(self._task.id)

    def _note(self, seen: Mapping[str, Any]) -> None:
        networks = seen["NetworkSettings"]["Networks"] or {}
        address = next((network["IPAddress"] for network in networks.values() if network["IPAddress"]), "")
        container = ContainerStatus(container_id=seen["Id"], pid=seen["State"]["Pid"], address=address)
        self._observed = Observed(container, published_ports(self._task, seen["NetworkSettings"]["Ports"]))

    def _note_exit(self, container: Container, code: int) -> None:
        status = self._observed.container or ContainerStatus(container_id=container.id)
        ended = dataclasses.replace(status, pid=0, exit_code=code)
        self._observed = dataclasses.replace(self._observed, container=ended)

    async def _cause(self, container: Container) -> str:
        """Why it ended with an error, where the engine knows more than the exit code."""
        state = await self._state(container)
        if not state:
            return ""
        return "it used more memory than its limit (OOM)" if state["OOMKilled"] else str(state["Error"])

    async def _state(self, container: Container) -> Mapping[str, Any]:
        """How it ended, in the engine's words; empty if the engine cannot tell."""
        try:
            state: Mapping[str, Any] = (await self._shared.engine.inspect(container.id))["State"]
        except (EngineError, TemporaryError) as error:
            log.info("how a container ended is not known", task=self._task.id, error=str(error))
            return {}
        return state
