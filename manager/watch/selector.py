"""Which changes a watcher wants. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.model import Cluster, Config, Node, Secret, Service, StoreObject, Task
from manager.store import Event, EventKind, Kind

ALL_KINDS: frozenset[Kind] = frozenset({Cluster, Config, Node, Secret, Service, Task})


@dataclass(frozen=True, slots=True)
class Selector:
    """A change matches if it matches everything that is given; what is empty matches any."""

    kinds: frozenset[Kind] = ALL_KINDS
    actions: frozenset[EventKind] = frozenset(EventKind)
    id: str = ""
    name: str = ""
    """A service's, secret's or config's name, a node's hostname; compared without case, as names are."""
    service_id: str = ""
    """Of tasks; nothing else has one."""
    node_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def matches(self, event: Event) -> bool:
        item = event.object
        return (
            type(item) in self.kinds
            and event.kind in self.actions
            and self.id in ("", item.id)
            and self.name.lower() in ("", name_of(item).lower())
            and self.service_id in ("", getattr(item, "service_id", None))
            and self.node_id in ("", getattr(item, "node_id", None))
            and self.labels.items() <= _labels(item).items()
        )


def name_of(item: StoreObject) -> str:
    """What a user knows it by; empty for what has no name."""
    match item:
        case Node():
            return item.spec.name or (item.description.hostname if item.description else "")
        case Service() | Secret() | Config():
            return item.spec.name
        case Task():
            return item.service_name and item.name
    return ""


def _labels(item: StoreObject) -> Mapping[str, str]:
    match item:
        case Task():
            return item.spec.container.labels
        case Cluster():
            return {}
    return item.spec.labels
