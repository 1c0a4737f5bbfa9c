"""NEW to PENDING: gives services the published ports that they left open, and lets their tasks go on, with the
cluster's log driver where they have none."""

from collections.abc import Sequence
from dataclasses import replace

from core.errors import FailedPrecondition
from core.model import Endpoint, Service, Task, TaskState, TaskStatus
from manager.allocator.ports import PortTable
from manager.orchestrator.worklist import Worklist
from manager.store import Event, EventKind, Transaction

MAX_WRITES = 200
"""Writes after which a step ends."""
MAX_LOOKS = 5_000
"""Services and tasks after which it ends."""


class Allocator:
    """A Controller. What is allocated stands in `Service.endpoint`; why something cannot be, in `Service.error`."""

    def __init__(self) -> None:
        self._reset()

    def start(self, tx: Transaction, now: int) -> int | None:
        """Takes back all earlier allocations first, the oldest services' before the others'; only then is anything new
        given out, by `step`."""
        self._reset()
        for service in sorted(tx.services(), key=lambda service: service.meta.created_at):
            self._ports.restore(service.id, service.endpoint.ports)
            self._services.add(service.id)
        for task in tx.tasks():
            self._take_in(task)
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(event)
        begin, looks = tx.mark, 0
        while self._services or self._tasks:
            if tx.mark - begin >= MAX_WRITES or looks >= MAX_LOOKS:
                return now
            looks += 1
            if self._services:
                self._serve(tx, self._services.pop())
            else:
                self._pass_on(tx, self._tasks.pop(), now)
        return None

    def _reset(self) -> None:
        self._ports = PortTable()
        self._services: Worklist[str] = Worklist()
        """To be looked at."""
        self._tasks: Worklist[str] = Worklist()
        """To be looked at; of no service that waits itself."""
        self._refused: dict[str, dict[str, None]] = {}
        """Services that cannot be served, and their tasks."""

    def _observe(self, event: Event) -> None:
        item = event.object
        if isinstance(item, Task):
            if event.kind is not EventKind.DELETE:
                self._take_in(item)
        elif isinstance(item, Service):
            if event.kind is not EventKind.DELETE:
                self._services.add(item.id)
                return
            self._refused.pop(item.id, None)
            if self._ports.release(item.id):
                self._retry()

    def _take_in(self, task: Task) -> None:
        if task.status.state is TaskState.NEW and task.desired_state < TaskState.SHUTDOWN:
            self._tasks.add(task.id)

    def _retry(self) -> None:
        self._services.extend(self._refused)

    def _serve(self, tx: Transaction, service_id: str) -> None:
        """Allocates what the service asks for, or says on it why not."""
        service = tx.service(service_id)
        if service is None:
            return
        wanted = service.spec.endpoint.ports if service.spec.endpoint else ()
        held = service.endpoint.ports
        try:
            served = replace(service, endpoint=Endpoint(self._ports.allocate(service.id, wanted)), error="")
        except FailedPrecondition as refusal:
            served = replace(service, error=refusal.message)
            tasks = self._refused.setdefault(service.id, {})
        else:
            tasks = self._refused.pop(service.id, {})
            if not set(held) <= set(served.endpoint.ports):
                self._retry()
        if served != service:
            self._tasks.extend(tasks)
            tx.update(served)

    def _pass_on(self, tx: Transaction, task_id: str, now: int) -> None:
        """Lets the task go on, or says on it what its service waits for."""
        task = tx.task(task_id)
        service = tx.service(task.service_id) if task is not None else None
        if task is None or service is None or task.status.state is not TaskState.NEW:
            return
        status = TaskStatus(now, TaskState.PENDING, "pending task scheduling")
        refused = self._refused.get(service.id)
        if refused is not None:
            refused[task.id] = None
            status = replace(task.status, timestamp=now, err=service.error)
            if task.status.err == service.error:
                return
        cluster = tx.cluster
        log_driver = cluster.spec.log_driver if cluster is not None and task.spec.log_driver is None else None
        tx.update(replace(task, status=status, ports=service.endpoint.ports, log_driver=log_driver))
