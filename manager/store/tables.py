"""The objects and their indexes. Mutable; owned by one Store."""

from typing import Any

from core.codec import SpecKey
from core.model import Cluster, Node, Service, StoreObject, Task, TaskSpec

Kind = type[Cluster] | type[Node] | type[Service] | type[Task]


class Tables:
    """`put` and `remove` keep the indexes true, and check nothing."""

    def __init__(self) -> None:
        self.clusters: dict[str, Cluster] = {}
        self.nodes: dict[str, Node] = {}
        self.services: dict[str, Service] = {}
        self.tasks: dict[str, Task] = {}
        self.service_ids: dict[str, str] = {}
        """By name in lower case: names differ in more than case."""
        self.tasks_by_service: dict[str, dict[str, Task]] = {}
        self.tasks_by_node: dict[str, dict[str, Task]] = {}
        self.tasks_by_slot: dict[tuple[str, int], dict[str, Task]] = {}
        self._by_kind: dict[Kind, dict[str, Any]] = {
            Cluster: self.clusters,
            Node: self.nodes,
            Service: self.services,
            Task: self.tasks,
        }
        self._specs: dict[SpecKey, tuple[TaskSpec, int]] = {}

    def get(self, kind: Kind, object_id: str) -> StoreObject | None:
        found: StoreObject | None = self._by_kind[kind].get(object_id)
        return found

    def put(self, item: StoreObject) -> StoreObject | None:
        """Adds, or replaces what had its id, which is returned."""
        kind: Kind = type(item)
        old = self.remove(kind, item.id)
        self._by_kind[kind][item.id] = item
        if isinstance(item, Task):
            self._index_task(item)
        elif isinstance(item, Service):
            self.service_ids[item.spec.name.lower()] = item.id
        return old

    def remove(self, kind: Kind, object_id: str) -> StoreObject | None:
        old: StoreObject | None = self._by_kind[kind].pop(object_id, None)
        if isinstance(old, Task):
            self._unindex_task(old)
        elif isinstance(old, Service):
            del self.service_ids[old.spec.name.lower()]
        return old

    def spec(self, key: SpecKey) -> TaskSpec | None:
        """The shared spec of `key`, if a task uses it or its service is at it: known to every manager alike."""
        found = self._specs.get(key)
        if found is not None:
            return found[0]
        service = self.services.get(key[0])
        return service.spec.task if service is not None and service.spec_version == key[1] else None

    def specs(self) -> dict[SpecKey, TaskSpec]:
        """All that tasks use."""
        return {key: spec for key, (spec, _) in self._specs.items()}

    def _index_task(self, task: Task) -> None:
        self.tasks_by_service.setdefault(task.service_id, {})[task.id] = task
        self.tasks_by_slot.setdefault((task.service_id, task.slot), {})[task.id] = task
        if task.node_id:
            self.tasks_by_node.setdefault(task.node_id, {})[task.id] = task
        key = (task.service_id, task.spec_version)
        spec, users = self._specs.get(key, (task.spec, 0))
        self._specs[key] = (spec, users + 1)

    def _unindex_task(self, task: Task) -> None:
        _discard(self.tasks_by_service, task.service_id, task.id)
        _discard(self.tasks_by_slot, (task.service_id, task.slot), task.id)
        if task.node_id:
            _discard(self.tasks_by_node, task.node_id, task.id)
        key = (task.service_id, task.spec_version)
        spec, users = self._specs[key]
        if users == 1:
            del self._specs[key]
        else:
            self._specs[key] = (spec, users - 1)


def _discard(index: dict[Any, dict[str, Task]], key: object, task_id: str) -> None:
    entries = index[key]
    del entries[task_id]
    if not entries:
        del index[key]
