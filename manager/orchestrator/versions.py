"""Which old versions of secrets and configs may go."""

from collections.abc import Iterable, Sequence

from core.model import Config, ContainerSpec, Dependency, DependencyKey, Secret, Service, Task
from core.model.dependencies import key_of, references_of
from manager.orchestrator.tasks import is_dead
from manager.orchestrator.worklist import Worklist
from manager.store import Event, EventKind, Transaction, View

MAX_WRITES = 50
"""Writes after which a step ends."""


class VersionReaper:
    """A Controller. A version that has been superseded stays for as long as a service refers to it, or did before its
    last update, so that it can be rolled back, and as a task that has not ended was made with it."""

    def __init__(self) -> None:
        self._old: set[DependencyKey] = set()
        """All that are superseded."""
        self._versions: Worklist[DependencyKey] = Worklist()
        """Those that may be used no more."""

    def start(self, tx: Transaction, now: int) -> int | None:
        held: list[Dependency] = [*tx.secrets(), *tx.configs()]
        self._old = {key_of(item) for item in held if item.superseded_by}
        self._versions.extend(self._old)
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(event)
        begin = tx.mark
        while self._versions:
            if tx.mark - begin >= MAX_WRITES:
                return now
            kind, item_id = key = self._versions.pop()
            if tx.dependency(key) is not None and not is_used(tx, key):
                tx.delete(kind, item_id)
                self._old.discard(key)
        return None

    def _observe(self, event: Event) -> None:
        item, deleted = event.object, event.kind is EventKind.DELETE
        if isinstance(item, Secret | Config):
            key = key_of(item)
            if deleted:
                self._old.discard(key)
            elif item.superseded_by and key not in self._old:
                self._old.add(key)
                self._versions.add(key)
        elif not self._old:
            return
        elif isinstance(item, Service) and isinstance(event.old, Service):
            self._let_go(_containers(event.old))
        elif isinstance(item, Task) and (deleted or is_dead(item)):
            self._let_go([item.spec.container])

    def _let_go(self, containers: Iterable[ContainerSpec]) -> None:
        for container in containers:
            self._versions.extend({key_of(reference) for reference in references_of(container)} & self._old)


def is_used(view: View, key: DependencyKey) -> bool:
    if any(_refers(container, key) for service in view.services() for container in _containers(service)):
        return True
    return any(
        task.spec_version == version and not is_dead(task)
        for (service_id, version), spec in view.specs().items()
        if _refers(spec.container, key)
        for task in view.tasks_of_service(service_id)
    )


def _containers(service: Service) -> list[ContainerSpec]:
    """Of its spec, and of the one that it can be rolled back to."""
    specs = (service.spec, service.previous_spec)
    return [spec.task.container for spec in specs if spec is not None]


def _refers(container: ContainerSpec, key: DependencyKey) -> bool:
    return any(key_of(reference) == key for reference in references_of(container))
