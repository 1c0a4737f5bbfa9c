"""One task on this node: takes the state machine's steps one after another and tells what each made of it."""

import asyncio
from collections.abc import Awaitable, Callable

from core.clock import Clock
from core.logs import logger
from core.model import Task, TaskState, TaskStatus
from worker import machine
from worker.executor import Controller, TaskError, TemporaryError, UnhealthyError

RETRY_DELAY = 1.0
"""Seconds before a call that failed for a passing reason is made again."""
RELEASE_LIMIT = 2.0
"""Seconds a task that shall stop waits at most for its release, and an unhealthy one for all nodes to leave it out."""

log = logger("worker.task")


class TaskManager:
    """Runs `task` from `status` on. `on_status(task id, status)` is called on the loop after every change."""

    def __init__(
        self,
        task: Task,
        status: TaskStatus,
        controller: Controller,
        clock: Clock,
        on_status: Callable[[str, TaskStatus], None],
    ) -> None:
        self.task = task
        self.status = status
        self.controller = controller
        self._clock = clock
        self._on_status = on_status
        self._released = False
        self._release_timer: asyncio.TimerHandle | None = None
        self._step: machine.Step | None = None
        self._interrupted = False
        self._runner: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._expect_release()
        self._reconsider()

    def update(self, task: Task) -> None:
        """What a manager now wants of the task."""
        if task.desired_state < self.task.desired_state:
            log.warning("a lower desired state is refused", task=task.id, desired=task.desired_state.name)
        self.task = machine.updated(self.task, task)
        self._expect_release()
        self._reconsider()

    def release(self) -> None:
        """No node sends the task new connections any more: it may stop."""
        self._released = True
        self._reconsider()

    async def close(self) -> None:
        """Leaves the container as it is."""
        if self._release_timer is not None:
            self._release_timer.cancel()
        if self._runner is not None:
            self._interrupted = False
            self._runner.cancel()
            await asyncio.wait([self._runner])

    async def remove(self) -> None:
        """Stops the container with its grace and removes it, however often that must be tried."""
        await self.close()
        for call in (self.controller.shutdown, self.controller.remove):
            await self._insist(call)

    def _expect_release(self) -> None:
        if self.task.desired_state < TaskState.SHUTDOWN or self._released or self._release_timer is not None:
            return
        if machine.is_routed(self.task):
            self._release_timer = asyncio.get_running_loop().call_later(RELEASE_LIMIT, self.release)
        else:
            self._released = True

    def _reconsider(self) -> None:
        """Wakes a resting task, and breaks off a step that is no longer the right one."""
        step = self._next_step()
        if step is None or step is self._step:
            return
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        elif self._step is not None and step.call is machine.Call.SHUTDOWN:
            self._interrupted = True
            self._runner.cancel()

    def _next_step(self) -> machine.Step | None:
        return machine.next_step(self.status.state, self.task.desired_state, self._released)

    async def _run(self) -> None:
        while (step := self._next_step()) is not None:
            self._step = step
            try:
                await self._take(step)
            except asyncio.CancelledError:
                if not self._interrupted:
                    raise
                self._interrupted = False
                _current_task().uncancel()
        self._step = None

    async def _take(self, step: machine.Step) -> None:
        try:
            if step.call is not None:
                await self._call(step.call)
        except TemporaryError as error:
            log.warning("will try again", task=self.task.id, call=step.call, error=str(error))
            await asyncio.sleep(RETRY_DELAY)
            return
        except TaskError as error:
            self._become(machine.failed(self.status, str(error), self.controller.observed, self._clock.now()))
        except Exception as error:
            log.exception("unexpected failure", task=self.task.id, call=step.call)
            reason = f"internal error: {error!r}"
            self._become(machine.failed(self.status, reason, self.controller.observed, self._clock.now()))
        else:
            self._become(machine.succeeded(self.status, step, self.controller.observed, self._clock.now()))

    async def _call(self, call: machine.Call) -> None:
        try:
            if call is machine.Call.WAIT and self.status.err:
                raise UnhealthyError(self.status.err)  # withdrawn already, perhaps by the daemon before this one
            await getattr(self.controller, call.value)()
        except UnhealthyError as error:
            if call is machine.Call.WAIT and machine.is_routed(self.task):
                self._become(machine.withdrawn(self.status, str(error), self._clock.now()))
                await asyncio.sleep(RELEASE_LIMIT)
            await self.controller.shutdown()
            raise

    def _become(self, status: TaskStatus) -> None:
        self.status = status
        self._on_status(self.task.id, status)

    async def _insist(self, call: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await call()
            except TemporaryError as error:
                log.warning("will try again", task=self.task.id, error=str(error))
                await asyncio.sleep(RETRY_DELAY)
            else:
                return


def _current_task() -> "asyncio.Task[object]":
    task = asyncio.current_task()
    assert task is not None
    return task
