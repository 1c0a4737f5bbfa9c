"""The objects and their indexes. Mutable; owned by one Store."""

from collections.abc import Mapping
from typing import Any

from core.codec import SpecKey
from core.model import Cluster, Config, Node, Secret, Service, StoreObject, Task, TaskSpec

Kind = type[Cluster] | type[Node] | type[Service] | type[Task] | type[Secret] | type[Config]
Slot = int | str
"""A replicated service's slot number; of a global service the node's id, as there the node is the slot."""


def slot_of(task: Task) -> Slot:
    return task.slot or task.node_id


def name_of(item: StoreObject) -> str:
    """The name that nothing else of its kind may have; empty if it has none: of versions only the newest bears it."""
    if isinstance(item, Service):
        return item.spec.name
    if isinstance(item, Secret | Config):
        return "" if item.superseded_by else item.spec.name
    return ""


class Tables:
    """`put` and `remove` keep the indexes true, and check nothing."""

    def __init__(self) -> None:
        self.clusters: dict[str, Cluster] = {}
        self.nodes: dict[str, Node] = {}
        self.services: dict[str, Service] = {}
        self.tasks: dict[str, Task] = {}
        self.secrets: dict[str, Secret] = {}
        self.configs: dict[str, Config] = {}
        self._names: dict[Kind, dict[str, str]] = {Service: {}, Secret: {}, Config: {}}
        """Ids by name in lower case: names differ in more than case."""
        self.tasks_by_node: dict[str, dict[str, Task]] = {}
        self.tasks_by_slot: dict[str, dict[Slot, tuple[Task, ...]]] = {}
        """By service, then by slot. A slot has a few tasks, so a tuple is the smallest home for them."""
        self._by_kind: dict[Kind, dict[str, Any]] = {
            Cluster: self.clusters,
            Node: self.nodes,
            Service: self.services,
            Task: self.tasks,
            Secret: self.secrets,
            Config: self.configs,
        }
        self._specs: dict[SpecKey, tuple[TaskSpec, int]] = {}
        """Those that tasks use, and how many do."""

    def get(self, kind: Kind, object_id: str) -> StoreObject | None:
        found: StoreObject | None = self._by_kind[kind].get(object_id)
        return found

    def id_by_name(self, kind: Kind, name: str) -> str:
        """Empty if nothing of that kind has that name."""
        return self._names[kind].get(name.lower(), "")

    def slots(self, service_id: str) -> Mapping[Slot, tuple[Task, ...]]:
        return self.tasks_by_slot.get(service_id, _NO_SLOTS)

    def put(self, item: StoreObject) -> StoreObject | None:
        """Adds, or replaces what had its id, which is returned."""
        kind: Kind = type(item)
        table = self._by_kind[kind]
        old: StoreObject | None = table.get(item.id)
        table[item.id] = item
        if isinstance(item, Task):
            self._put_task(item, old)
        elif kind in self._names:
            if old is not None:
                self._leave_name(old)
            name = name_of(item)
            if name:
                self._names[kind][name.lower()] = item.id
        return old

    def remove(self, kind: Kind, object_id: str) -> StoreObject | None:
        old: StoreObject | None = self._by_kind[kind].pop(object_id, None)
        if isinstance(old, Task):
            self._leave_node(old)
            self._leave_slot(old)
            self._release_spec(old)
        elif old is not None:
            self._leave_name(old)
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

    def _put_task(self, task: Task, old: Any) -> None:
        if task.node_id:
            self.tasks_by_node.setdefault(task.node_id, {})[task.id] = task
        slot = slot_of(task)
        if old is None:
            self._enter_slot(task, slot)
            self._use_spec(task)
            return
        if old.node_id != task.node_id:
            self._leave_node(old)
        if old.service_id == task.service_id and slot_of(old) == slot:
            slots = self.tasks_by_slot[task.service_id]
            others = slots[slot]
            slots[slot] = (task,) if len(others) == 1 else tuple(task if other is old else other for other in others)
        else:
            self._leave_slot(old)
            self._enter_slot(task, slot)
        if old.spec_version != task.spec_version or old.service_id != task.service_id:
            self._use_spec(task)
            self._release_spec(old)

    def _enter_slot(self, task: Task, slot: Slot) -> None:
        slots = self.tasks_by_slot.setdefault(task.service_id, {})
        slots[slot] = (*slots.get(slot, ()), task)

    def _use_spec(self, task: Task) -> None:
        key = _spec_key(task)
        spec, users = self._specs.get(key, (task.spec, 0))
        self._specs[key] = (spec, users + 1)

    def _leave_name(self, old: StoreObject) -> None:
        name = name_of(old).lower()
        names = self._names.get(type(old), {})
        if names.get(name) == old.id:
            del names[name]

    def _leave_node(self, task: Task) -> None:
        if not task.node_id:
            return
        tasks = self.tasks_by_node[task.node_id]
        del tasks[task.id]
        if not tasks:
            del self.tasks_by_node[task.node_id]

    def _leave_slot(self, task: Task) -> None:
        slots, slot = self.tasks_by_slot[task.service_id], slot_of(task)
        left = tuple(other for other in slots[slot] if other is not task)
        if left:
            slots[slot] = left
            return
        del slots[slot]
        if not slots:
            del self.tasks_by_slot[task.service_id]

    def _release_spec(self, task: Task) -> None:
        key = _spec_key(task)
        spec, users = self._specs[key]
        if users == 1:
            del self._specs[key]
        else:
            self._specs[key] = (spec, users - 1)


def _spec_key(task: Task) -> SpecKey:
    return task.service_id, task.spec_version


_NO_SLOTS: Mapping[Slot, tuple[Task, ...]] = {}
