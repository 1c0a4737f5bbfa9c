"""The whole store as chunks of length-delimited records, and back."""

from collections.abc import Iterator
from typing import Any

from core.codec import SpecKey, contents, decode, pack_specs, parse, unpack_specs
from core.errors import InvalidArgument
from core.model import StoreObject, TaskSpec
from manager.store.entry import KINDS, read_task
from manager.store.tables import Tables
from manager.store.transaction import Transaction
from proto import store_pb2

_CHUNK = 256 << 10
_LENGTH = 4


class Frozen:
    """The objects as they were when it was made: copies of tables, not of objects, so it is cheap to make."""

    def __init__(self, tables: Tables) -> None:
        self._specs = tables.specs()
        self._objects: dict[str, list[Any]] = {
            "cluster": list(tables.clusters.values()),
            "node": list(tables.nodes.values()),
            "service": list(tables.services.values()),
            "secret": list(tables.secrets.values()),
            "config": list(tables.configs.values()),
            "task": list(tables.tasks.values()),
        }

    def chunks(self) -> Iterator[bytes]:
        """May run in another thread: nothing it reads ever changes."""
        buffer = bytearray()
        for record in self._records():
            data = record.SerializeToString()
            buffer += len(data).to_bytes(_LENGTH, "big") + data
            if len(buffer) >= _CHUNK:
                yield bytes(buffer)
                buffer.clear()
        yield bytes(buffer)

    def transaction(self) -> Transaction:
        """On tables of its own. May run in another thread too."""
        tables = Tables()
        for items in self._objects.values():
            for item in items:
                tables.put(item)
        return Transaction(tables)

    def _records(self) -> Iterator[store_pb2.StoreSnapshotRecord]:
        for spec in pack_specs(self._specs):
            yield store_pb2.StoreSnapshotRecord(spec=spec)
        for field, items in self._objects.items():
            for item in items:
                record: dict[str, Any] = {field: contents(item)}
                yield store_pb2.StoreSnapshotRecord(**record)


def thaw(chunks: Iterator[bytes]) -> Tables:
    """The tables that `Frozen.chunks` wrote. Raises InvalidArgument if they cannot be read."""
    tables = Tables()
    specs: dict[SpecKey, TaskSpec] = {}
    for data in _split(chunks):
        record: store_pb2.StoreSnapshotRecord = parse(store_pb2.StoreSnapshotRecord, data)
        field = record.WhichOneof("record")
        if field == "spec":
            specs |= unpack_specs([record.spec])
        elif field is None:
            raise InvalidArgument("a record of unknown kind: a newer version of pyswarm wrote it")
        else:
            item: StoreObject = (
                read_task(record.task, specs) if field == "task" else decode(KINDS[field], getattr(record, field))
            )
            tables.put(item)
    return tables


def _split(chunks: Iterator[bytes]) -> Iterator[bytes]:
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        position = 0
        while len(buffer) >= position + _LENGTH:
            end = position + _LENGTH + int.from_bytes(buffer[position : position + _LENGTH], "big")
            if len(buffer) < end:
                break
            yield bytes(buffer[position + _LENGTH : end])
            position = end
        del buffer[:position]
    if buffer:
        raise InvalidArgument("the snapshot ends in the middle of a record")
