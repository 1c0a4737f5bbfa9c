"""What is assigned to this node, turned into one task manager for each task."""

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Mapping
from typing import Any

from core.clock import Clock
from core.logs import logger
from core.model import Task, TaskStatus
from worker.database import Database
from worker.executor import Controller, Executor, TemporaryError
from worker.reporter import Reporter
from worker.task_manager import RETRY_DELAY, TaskManager

OVERTAKING = 2.0
"""Seconds by which a question about a task may arrive before the task does."""

log = logger("worker")


class Worker:
    """Holds the node's tasks. Nothing is removed on its own account, only by what `assign` and `update` are told."""

    def __init__(self, executor: Executor, database: Database, reporter: Reporter, clock: Clock) -> None:
        self._executor = executor
        self._database = database
        self._reporter = reporter
        self._clock = clock
        self._managers: dict[str, TaskManager] = {}
        self._going: set[str] = set()
        """Tasks whose containers are being removed."""
        self._background: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()

    @property
    def tasks(self) -> Mapping[str, TaskManager]:
        return self._managers

    def statuses(self) -> dict[str, TaskStatus]:
        return {key: manager.status for key, manager in self._managers.items()}

    async def controller(self, task_id: str) -> Controller | None:
        """None if the task is not here, and does not come in a moment."""
        try:
            async with asyncio.timeout(OVERTAKING):
                while task_id not in self._managers:
                    self._begun.clear()
                    await self._begun.wait()
        except TimeoutError:
            return None
        return self._managers[task_id].controller

    def resume(self) -> None:
        """Goes on with every task of the last run where it was."""
        known = self._database.tasks()
        self._executor.resume([task.id for task, _ in known])
        for task, status in known:
            self._begin(task, status)

    def assign(self, tasks: Collection[Task]) -> None:
        """These are all the tasks the node shall have; every other one, and every other container, is removed."""
        wanted = {task.id for task in tasks}
        self.update(tasks, [key for key in self._managers if key not in wanted])
        if self._sweeper is None:
            self._sweeper = self._spawn(self._sweep())

    def update(self, tasks: Iterable[Task], removed: Iterable[str]) -> None:
        """These tasks are new or changed, those are removed. An unknown removed one is fine."""
        for task in tasks:
            manager = self._managers.get(task.id)
            if manager is None:
                self._database.put_status(task.id, task.status)
                self._begin(task, task.status)
            else:
                manager.update(task)
            self._database.put_task(self._managers[task.id].task)
        for task_id in removed:
            self._remove(task_id)

    def release(self, task_ids: Iterable[str]) -> None:
        """No node sends these tasks new connections any more."""
        for task_id in task_ids:
            if task_id in self._managers:
                self._managers[task_id].release()

    async def remove_everything(self) -> None:
        """Stops and removes every container of this node and forgets its tasks: the node leaves the cluster."""
        self.assign(())
        while self._background:
            await asyncio.wait(self._background)

    async def close(self) -> None:
        """Stops managing; containers stay as they are."""
        for job in self._background:
            job.cancel()
        if self._background:
            await asyncio.wait(self._background)
        await asyncio.gather(*(manager.close() for manager in self._managers.values()))

    def _begin(self, task: Task, status: TaskStatus) -> None:
        manager = TaskManager(task, status, self._executor.controller(task), self._clock, self._on_status)
        self._managers[task.id] = manager
        self._begun.set()
        manager.start()

    def _on_status(self, task_id: str, status: TaskStatus) -> None:
        self._database.put_status(task_id, status)
        self._reporter.report(task_id, status)

    def _remove(self, task_id: str) -> None:
        manager = self._managers.pop(task_id, None)
        if manager is None:
            return
        self._reporter.forget(task_id)
        self._database.forget(task_id)
        self._spawn(self._take_down(task_id, manager))

    async def _take_down(self, task_id: str, manager: TaskManager) -> None:
        self._going.add(task_id)
        try:
            await manager.remove()
        finally:
            self._going.discard(task_id)

    async def _sweep(self) -> None:
        """Removes containers of ours whose tasks nobody knows any more: those of a lost database, or of a node that
        was cut off while its tasks were given to others."""
        try:
            while True:
                try:
                    found = await self._executor.adopted()
                    break
                except TemporaryError:
                    await asyncio.sleep(RETRY_DELAY)
            for task_id in set(found) - self._managers.keys() - self._going:
                log.info("removing a container that is no longer assigned", task=task_id)
                task = Task(id=task_id)
                controller = self._executor.controller(task)
                orphan = TaskManager(task, task.status, controller, self._clock, self._on_status)
                self._spawn(self._take_down(task_id, orphan))
        finally:
            self._sweeper = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        job = asyncio.create_task(work)
        self._background.add(job)
        job.add_done_callback(self._finished)
        return job

    def _finished(self, job: "asyncio.Task[None]") -> None:
        self._background.discard(job)
        if not job.cancelled() and (error := job.exception()) is not None:
            log.error("removal failed; it is tried again with the next complete assignment", exc_info=error)
