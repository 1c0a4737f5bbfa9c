"""NEW to PENDING: gives services the published ports that they left open, and lets their tasks go on, with the
cluster's log driver where they have none."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from core.errors import FailedPrecondition
from core.model import Endpoint, Service, Task, TaskState, TaskStatus
from manager.allocator.ports import PortTable
from manager.store import Event, EventKind, Transaction

MAX_WRITES = 200
"""Objects that one step changes."""


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
            self._services[service.id] = None
        for task in tx.tasks():
            self._take_in(task)
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(event)
        left = MAX_WRITES
        while left and self._services:
            service_id, _ = self._services.popitem(last=False)
            service = tx.service(service_id)
            if service is not None:
                left -= self._serve(service, tx)
        while left and self._tasks:
            task_id, _ = self._tasks.popitem(last=False)
            task = tx.task(task_id)
            if task is not None and task.status.state is TaskState.NEW:
                left -= self._pass_on(task, tx, now)
        return now if self._services or self._tasks else None

    def _reset(self) -> None:
        self._ports = PortTable()
        self._services: OrderedDict[str, None] = OrderedDict()
        """To be looked at."""
        self._tasks: OrderedDict[str, None] = OrderedDict()
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
                self._services[item.id] = None
                return
            self._services.pop(item.id, None)
            self._refused.pop(item.id, None)
            if self._ports.release(item.id):
                self._retry()

    def _take_in(self, task: Task) -> None:
        if task.status.state is TaskState.NEW and task.desired_state < TaskState.SHUTDOWN:
            self._tasks[task.id] = None

    def _retry(self) -> None:
        self._services.update(dict.fromkeys(self._refused))

    def _serve(self, service: Service, tx: Transaction) -> int:
        """Allocates what the service asks for, or says on it why not; how many objects it wrote."""
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
        if served == service:
            return 0
        self._tasks.update(tasks)
        tx.update(served)
        return 1

    def _pass_on(self, task: Task, tx: Transaction, now: int) -> int:
        """Lets the task go on, or says on it what its service waits for; how many objects it wrote."""
        service = tx.service(task.service_id)
        if service is None:
            return 0
        status = TaskStatus(now, TaskState.PENDING, "pending task scheduling")
        refused = self._refused.get(service.id)
        if refused is not None:
            refused[task.id] = None
            status = replace(task.status, timestamp=now, err=service.error)
            if task.status.err == service.error:
                return 0
        cluster = tx.cluster
        log_driver = cluster.spec.log_driver if cluster is not None and task.spec.log_driver is None else None
        tx.update(replace(task, status=status, ports=service.endpoint.ports, log_driver=log_driver))
        return 1
