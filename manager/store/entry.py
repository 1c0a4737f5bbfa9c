"""A transaction's changes as bytes in the log, and back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from sys import intern
from typing import Any

from core.codec import SpecKey, contents, decode, pack_specs, parse, unpack_specs, unpack_task
from core.model import Cluster, Config, Node, Secret, Service, StoreObject, Task, TaskSpec
from core.model.dependencies import with_data
from manager.store.events import EventKind
from manager.store.tables import Kind
from manager.store.transaction import Change
from proto import model_pb2, store_pb2

KINDS: Mapping[str, type[Cluster] | type[Node] | type[Service] | type[Secret] | type[Config]] = {
    "cluster": Cluster,
    "node": Node,
    "service": Service,
    "secret": Secret,
    "config": Config,
}
_FIELDS: Mapping[Kind, str] = {kind: field for field, kind in KINDS.items()} | {Task: "task"}
FindSpec = Callable[[SpecKey], TaskSpec | None]


def encode_entry(changes: Sequence[Change], proposed_at: int, known: FindSpec) -> bytes:
    """`known` is asked for a task's spec in the state the entry is proposed on: what it knows is left out."""
    specs: dict[SpecKey, TaskSpec] = {}
    packed: list[Any] = []
    for change in changes:
        item = change.object
        field = _FIELDS[type(item)]
        if change.kind is EventKind.DELETE:
            fields: dict[str, Any] = {"id": item.id}
        else:
            # Every manager fills it in from the entry's place in the log.
            fields = contents(item, leave_out="meta")
            if change.kind is EventKind.UPDATE and isinstance(item, Secret | Config):
                # It never changes: see made_whole.
                fields["spec"].pop("data", None)
            if isinstance(item, Task):
                key = (item.service_id, item.spec_version)
                if key not in specs and known(key) is None:
                    specs[key] = item.spec
        packed.append({"kind": int(change.kind), field: fields})
    entry = store_pb2.StoreEntry(proposed_at=proposed_at, specs=pack_specs(specs), changes=packed)
    return entry.SerializeToString()


def decode_entry(data: bytes, known: FindSpec) -> tuple[list[Change], int]:
    """The changes and when they were proposed, given the same state. Raises InvalidArgument if `data` is no entry."""
    entry: store_pb2.StoreEntry = parse(store_pb2.StoreEntry, data)
    specs = _Specs(unpack_specs(entry.specs), known)
    return [_decode_change(change, specs) for change in entry.changes], entry.proposed_at


def made_whole(item: StoreObject, before: StoreObject | None) -> StoreObject:
    """A changed object with what its entry leaves out: a secret's or config's data is in the entry that made it."""
    if isinstance(item, Secret | Config) and isinstance(before, Secret | Config):
        return with_data(item, before.spec.data)
    return item


def read_task(message: model_pb2.Task, specs: Mapping[SpecKey, TaskSpec]) -> Task:
    """A task that shares its spec, and the texts that many tasks have, with the others."""
    task = unpack_task(message, specs)
    return replace(
        task,
        service_id=intern(task.service_id),
        service_name=intern(task.service_name),
        node_id=intern(task.node_id),
    )


def _decode_change(change: store_pb2.Change, specs: "_Specs") -> Change:
    kind = EventKind(change.kind)
    field = change.WhichOneof("object")
    if field == "task":
        if kind is EventKind.DELETE:
            return Change(kind, Task(id=change.task.id))
        return Change(kind, read_task(change.task, specs))
    assert field is not None
    return Change(kind, decode(KINDS[field], getattr(change, field)))


class _Specs(dict[SpecKey, TaskSpec]):
    """The entry's own specs first, then those already known."""

    def __init__(self, own: Mapping[SpecKey, TaskSpec], known: FindSpec) -> None:
        super().__init__(own)
        self._known = known

    def get(self, key: SpecKey, default: Any = None) -> Any:
        return self[key] if key in self else self._known(key) or default
