"""What is known of this node's containers: one list at the start, then one stream of events for all of them."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.logs import logger
from worker.executor import TaskError, TemporaryError
from worker.executor.docker.config import CLUSTER_LABEL, NODE_LABEL, TASK_LABEL
from worker.executor.docker.engine import Engine
from worker.executor.docker.health import Health, health_named, health_of_status

RECONNECT_DELAY = 0.5
_OVERLAP = 2
"""Seconds of past events asked for: the engine answers a moment before it has subscribed."""

log = logger("worker.docker")


class ContainerGone(TaskError):
    def __init__(self) -> None:
        super().__init__("the container is gone: it was not removed by pyswarm")


def _to_come() -> "asyncio.Future[Any]":
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class Container:
    id: str
    started: bool = False
    ended: "asyncio.Future[int | None]" = field(default_factory=_to_come)
    """Its exit code once it has ended; None if it was removed before anyone asked."""
    healthy: "asyncio.Future[None]" = field(default_factory=_to_come)
    """Done once it has been healthy."""
    unhealthy: "asyncio.Future[None]" = field(default_factory=_to_come)
    """Done once it has been unhealthy: it is to be stopped, whatever it says later."""

    def end(self, code: int | None) -> None:
        if not self.ended.done():
            self.ended.set_result(code)

    def note(self, health: Health) -> None:
        found = {Health.HEALTHY: self.healthy, Health.UNHEALTHY: self.unhealthy}.get(health)
        if found is not None and not found.done():
            found.set_result(None)


class Containers:
    """By task. Only those whose labels name this cluster and this node. `on_change` is called when the engine has
    gone or come back."""

    def __init__(self, engine: Engine, cluster_id: str, node_id: str) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._engine = engine
        self._labels = {CLUSTER_LABEL: cluster_id, NODE_LABEL: node_id}
        self._by_task: dict[str, Container] = {}
        self._in_touch = asyncio.Event()

    async def find(self, task_id: str) -> Container | None:
        """Waits while there is no touch with the engine: without it nothing is known for sure."""
        await self._in_touch.wait()
        return self._by_task.get(task_id)

    def known(self) -> Collection[str]:
        """The tasks that have a container. Raises TemporaryError while there is no touch with the engine."""
        if not self._in_touch.is_set():
            raise TemporaryError("the engine does not answer")
        return list(self._by_task)

    def add(self, task_id: str, container_id: str) -> None:
        self._by_task[task_id] = Container(container_id)

    async def adopt(self, task_id: str, name: str) -> None:
        """Takes the container called `name` for the task's, if its labels say that it is. Raises TaskError else."""
        seen = await self._engine.inspect(name)
        labels = seen["Config"]["Labels"] or {}
        if any(labels.get(key) != value for key, value in (self._labels | {TASK_LABEL: task_id}).items()):
            raise TaskError(f"the name {name} is taken by a container that is not ours; remove or rename it")
        self._by_task[task_id] = Container(seen["Id"], started=seen["State"]["Status"] != "created")

    def forget(self, task_id: str) -> None:
        container = self._by_task.pop(task_id, None)
        if container is not None:
            container.end(None)

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            reason = "its events ended"
            try:
                await self._follow()
            except (TaskError, TemporaryError) as error:
                reason = str(error)
            except Exception:
                log.exception("the engine's events cannot be followed; will try again")
            if self._in_touch.is_set():
                log.warning("the engine is gone; its tasks are left as they are", reason=reason)
                self._in_touch.clear()
                self.on_change()
            await asyncio.sleep(RECONNECT_DELAY)

    async def _follow(self) -> None:
        async with self._engine.events(self._labels, since=int(time.time()) - _OVERLAP) as events:
            await self._reconcile()
            self._in_touch.set()
            self.on_change()
            async for event in events:
                self._note(event)

    async def _reconcile(self) -> None:
        before = dict(self._by_task)
        listed = {entry["Labels"].get(TASK_LABEL, ""): entry for entry in await self._engine.list(self._labels)}
        for task_id, container in before.items():
            if task_id not in listed and self._by_task.get(task_id) is container:
                self.forget(task_id)
        for task_id, entry in listed.items():
            container = self._by_task.setdefault(task_id, Container(entry["Id"]))
            container.started = entry["State"] != "created"
            if entry["State"] == "running":
                container.note(health_of_status(entry["Status"]))
            if entry["State"] in ("exited", "dead") and not container.ended.done():
                seen = await self._engine.inspect(container.id)
                container.end(seen["State"]["ExitCode"])

    def _note(self, event: Mapping[str, Any]) -> None:
        attributes = event["Actor"]["Attributes"]
        task_id = attributes.get(TASK_LABEL, "")
        container = self._by_task.get(task_id)
        if container is None or container.id != event["Actor"]["ID"]:
            return
        action, _, health = event["Action"].partition(": ")
        if action == "die":
            container.end(int(attributes["exitCode"]))
        elif action == "health_status":
            container.note(health_named(health))
        else:
            self.forget(task_id)
