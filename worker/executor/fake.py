"""An executor that runs nothing: for tests, and for thousands of nodes in one process.

Without a script every step succeeds at once and a task runs until it is told to stop: no timer, no thread, no I/O.
`FakeExecutor` stands for the engine, so its containers outlive the agent that made them.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from dataclasses import dataclass, field

from core.model import ContainerStatus, LogLine, LogOptions, NodeDescription, Platform, Resources, Task
from worker.executor import ExitError, TaskError, TemporaryError, UnhealthyError
from worker.machine import Observed


@dataclass(frozen=True, slots=True)
class Script:
    """How a task's container behaves. Delays are seconds; None for `runs_for` is for ever."""

    prepare_delay: float = 0.0
    prepare_error: str = ""
    start_delay: float = 0.0
    start_error: str = ""
    runs_for: float | None = None
    exit_code: int = 0
    stop_delay: float = 0.0


@dataclass(slots=True)
class FakeContainer:
    ended: "asyncio.Future[int]"
    """Its exit code."""
    sick: "asyncio.Future[str]"
    """What its health check said."""
    address: str
    started: bool = False
    lines: list[LogLine] = field(default_factory=list)


class FakeExecutor:
    """`script(task)` is asked once for every task. `down` is why the engine does not answer; empty when it does."""

    def __init__(
        self,
        hostname: str = "fake",
        resources: Resources | None = None,
        script: Callable[[Task], Script] | None = None,
    ) -> None:
        self.containers: dict[str, FakeContainer] = {}
        self.description = NodeDescription(
            hostname=hostname,
            platform=Platform(architecture="x86_64", os="linux"),
            resources=resources or Resources(nano_cpus=8 * 10**9, memory_bytes=32 * 2**30),
            engine_version="fake",
        )
        self.down = ""
        self._script = script
        self._callbacks: list[Callable[[], None]] = []

    async def run(self) -> None:
        await asyncio.Event().wait()

    def resume(self, task_ids: Collection[str]) -> None:
        """There is nothing but containers."""

    async def close(self) -> None:
        """Its containers stay."""

    async def describe(self) -> NodeDescription:
        if not self.down:
            return self.description
        return NodeDescription(hostname=self.description.hostname, engine_error=self.down)

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def controller(self, task: Task) -> "FakeController":
        return FakeController(self, task.id, self._script(task) if self._script is not None else Script())

    async def adopted(self) -> Collection[str]:
        self.check()
        return list(self.containers)

    def set_down(self, reason: str) -> None:
        """The engine goes away for `reason`, or comes back if that is empty."""
        self.down = reason
        for callback in self._callbacks:
            callback()

    def exit(self, task_id: str, code: int) -> None:
        """The task's process ends by itself."""
        ended = self.containers[task_id].ended
        if not ended.done():
            ended.set_result(code)

    def sicken(self, task_id: str, reason: str) -> None:
        """The task's health check says that it does not work."""
        self.containers[task_id].sick.set_result(reason)

    def check(self) -> None:
        if self.down:
            raise TemporaryError(self.down)


class FakeController:
    def __init__(self, executor: FakeExecutor, task_id: str, script: Script) -> None:
        self._executor = executor
        self._task_id = task_id
        self._script = script

    @property
    def observed(self) -> Observed:
        container = self._executor.containers.get(self._task_id)
        if container is None or not container.started:
            return Observed()
        code = container.ended.result() if container.ended.done() else 0
        return Observed(ContainerStatus(container_id=self._task_id, exit_code=code, address=container.address))

    async def prepare(self) -> None:
        self._executor.check()
        if self._script.prepare_delay:
            await asyncio.sleep(self._script.prepare_delay)
        if self._script.prepare_error:
            raise TaskError(self._script.prepare_error)
        containers = self._executor.containers
        if self._task_id not in containers:
            number = len(containers) + 2
            loop = asyncio.get_running_loop()
            address = f"172.17.{number // 256 % 256}.{number % 256}"
            containers[self._task_id] = FakeContainer(loop.create_future(), loop.create_future(), address)

    async def start(self) -> None:
        self._executor.check()
        if self._script.start_delay:
            await asyncio.sleep(self._script.start_delay)
        if self._script.start_error:
            raise TaskError(self._script.start_error)
        container = self._container()
        if container.started:
            return
        container.started = True
        if self._script.runs_for is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self._script.runs_for, _end, container.ended, self._script.exit_code)

    async def wait(self) -> None:
        container = self._container()
        await asyncio.wait((container.ended, container.sick), return_when=asyncio.FIRST_COMPLETED)
        if not container.ended.done():
            raise UnhealthyError(container.sick.result())
        if code := container.ended.result():
            raise ExitError(code)

    async def shutdown(self) -> None:
        self._executor.check()
        container = self._executor.containers.get(self._task_id)
        if container is None or container.ended.done():
            return
        if self._script.stop_delay:
            await asyncio.sleep(self._script.stop_delay)
        _end(container.ended, 0)

    async def remove(self) -> None:
        self._executor.check()
        container = self._executor.containers.pop(self._task_id, None)
        if container is not None:
            _end(container.ended, 137)

    async def logs(self, options: LogOptions) -> AsyncGenerator[LogLine, None]:
        container = self._executor.containers.get(self._task_id)
        if container is None:
            return
        lines = [line for line in container.lines if (options.stderr if line.stderr else options.stdout)]
        for line in lines[max(0, len(lines) - options.tail) if options.tail >= 0 else 0 :]:
            if line.timestamp >= options.since:
                yield line
        if options.follow:
            await asyncio.shield(container.ended)

    def _container(self) -> FakeContainer:
        container = self._executor.containers.get(self._task_id)
        if container is None:
            raise TaskError("the container is gone: it was removed by hand")
        return container


def _end(ended: "asyncio.Future[int]", code: int) -> None:
    if not ended.done():
        ended.set_result(code)
