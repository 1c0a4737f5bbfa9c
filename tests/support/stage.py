"""One controller in a transaction that goes on for ever: what others write is put, then the controller is let run."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from core.clock import SECOND
from core.model import (
    GenericResource,
    Node,
    NodeDescription,
    NodeSpec,
    NodeState,
    NodeStatus,
    Platform,
    Plugin,
    Resources,
    Service,
    StoreObject,
    Task,
)
from manager.orchestrator.controller import Controller
from manager.store import Kind, Store

T = TypeVar("T", bound=StoreObject)

LINUX = Platform("x86_64", "linux")


class Stage:
    def __init__(self, controller: Controller) -> None:
        self.tx = Store().transaction()
        self.controller = controller
        self.now = 1_700_000_000 * SECOND
        self.steps = 0
        self.wake_up: int | None = None
        self._mark: int | None = None

    def put(self, item: T) -> T:
        """Creates the object, or changes it to this."""
        known = self.tx.node(item.id) or self.tx.service(item.id) or self.tx.task(item.id)
        if known is None:
            self.tx.create(item)
        else:
            self.tx.update(replace(item, meta=known.meta))
        return item

    def remove(self, kind: Kind, item_id: str) -> None:
        self.tx.delete(kind, item_id)

    def run(self, most_steps: int = 10_000) -> None:
        """Starts the controller, the first time; then lets it react to all that was written, until it rests."""
        if self._mark is None:
            self.wake_up = self.controller.start(self.tx, self.now)
            self._mark = self.tx.mark
        for _ in range(most_steps):
            events = self.tx.events_since(self._mark)
            due = self.wake_up is not None and self.wake_up <= self.now
            if not events and not due:
                return
            self._mark = self.tx.mark
            self.wake_up = self.controller.step(self.tx, events, self.now)
            self.steps += 1
        raise AssertionError(f"no rest after {most_steps} steps")

    def writes(self) -> int:
        """How many writes there have been so far, anybody's."""
        return self.tx.mark

    def task(self, task_id: str) -> Task:
        task = self.tx.task(task_id)
        assert task is not None
        return task

    def service(self, service_id: str) -> Service:
        service = self.tx.service(service_id)
        assert service is not None
        return service


def make_node(
    node_id: str,
    *,
    cpus: int = 4,
    memory: int = 8 << 30,
    state: NodeState = NodeState.READY,
    spec: NodeSpec | None = None,
    platform: Platform = LINUX,
    generic: Sequence[GenericResource] = (),
    plugins: Sequence[Plugin] = (),
) -> Node:
    """`cpus` are whole ones, `memory` is in bytes."""
    resources = Resources(cpus * 10**9, memory, tuple(generic))
    description = NodeDescription(f"host-{node_id}", platform, resources, plugins=tuple(plugins))
    return Node(id=node_id, spec=spec or NodeSpec(), description=description, status=NodeStatus(state))
