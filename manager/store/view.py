"""Looking at the objects, committed or, inside a transaction, as it leaves them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeVar

from core.codec import SpecKey
from core.model import Cluster, Config, Dependency, DependencyKey, Node, Secret, Service, Task, TaskSpec
from manager.store.tables import Slot, Tables

T = TypeVar("T", Node, Service, Task, Secret, Config)


class View:
    """Reads only. Collections are live: a caller that writes while it iterates takes a list first."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @property
    def cluster(self) -> Cluster | None:
        """The one cluster object, once `init` has made it."""
        return next(iter(self._tables.clusters.values()), None)

    def node(self, node_id: str) -> Node | None:
        return self._tables.nodes.get(node_id)

    def service(self, service_id: str) -> Service | None:
        return self._tables.services.get(service_id)

    def task(self, task_id: str) -> Task | None:
        return self._tables.tasks.get(task_id)

    def nodes(self) -> Iterable[Node]:
        return self._tables.nodes.values()

    def services(self) -> Iterable[Service]:
        return self._tables.services.values()

    def tasks(self) -> Iterable[Task]:
        return self._tables.tasks.values()

    def service_by_name(self, name: str) -> Service | None:
        """Names are compared without case."""
        return self._tables.services.get(self._tables.id_by_name(Service, name))

    def secret(self, secret_id: str) -> Secret | None:
        return self._tables.secrets.get(secret_id)

    def config(self, config_id: str) -> Config | None:
        return self._tables.configs.get(config_id)

    def secrets(self) -> Iterable[Secret]:
        """All versions of all."""
        return self._tables.secrets.values()

    def configs(self) -> Iterable[Config]:
        """All versions of all."""
        return self._tables.configs.values()

    def secret_by_name(self, name: str) -> Secret | None:
        """Its newest version. Names are compared without case."""
        return self._tables.secrets.get(self._tables.id_by_name(Secret, name))

    def config_by_name(self, name: str) -> Config | None:
        """Its newest version. Names are compared without case."""
        return self._tables.configs.get(self._tables.id_by_name(Config, name))

    def dependency(self, key: DependencyKey) -> Dependency | None:
        """A version of a secret or config."""
        kind, item_id = key
        return self.secret(item_id) if kind is Secret else self.config(item_id)

    def tasks_of_service(self, service_id: str) -> Iterable[Task]:
        return chain.from_iterable(self._tables.slots(service_id).values())

    def tasks_of_node(self, node_id: str) -> Iterable[Task]:
        return self._tables.tasks_by_node.get(node_id, {}).values()

    def slots(self, service_id: str) -> Mapping[Slot, Sequence[Task]]:
        """A service's tasks by slot, in the order in which they were made."""
        return self._tables.slots(service_id)

    def tasks_of_slot(self, service_id: str, slot: Slot) -> Sequence[Task]:
        """Never changes under its reader, unlike the others."""
        return self._tables.slots(service_id).get(slot, ())

    def spec(self, key: SpecKey) -> TaskSpec | None:
        return self._tables.spec(key)

    def specs(self) -> Mapping[SpecKey, TaskSpec]:
        """Each that tasks were made with."""
        return self._tables.specs()

    def nodes_like(self, prefix: str) -> Iterator[Node]:
        """Nodes whose id begins with `prefix`."""
        return _like(self._tables.nodes, prefix)

    def services_like(self, prefix: str) -> Iterator[Service]:
        return _like(self._tables.services, prefix)

    def tasks_like(self, prefix: str) -> Iterator[Task]:
        return _like(self._tables.tasks, prefix)

    def secrets_like(self, prefix: str) -> Iterator[Secret]:
        return _like(self._tables.secrets, prefix)

    def configs_like(self, prefix: str) -> Iterator[Config]:
        return _like(self._tables.configs, prefix)


def _like(table: dict[str, T], prefix: str) -> Iterator[T]:
    return (item for object_id, item in table.items() if object_id.startswith(prefix))
