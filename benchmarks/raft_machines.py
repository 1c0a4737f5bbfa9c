"""State machines for members under measurement. The command FILL gives each 100,000 objects at once."""

from collections.abc import Callable, Iterator
from typing import Protocol

from benchmarks.raft_load import REQUEST_BYTES, key_of, put_request
from core.model import ContainerSpec, Service, ServiceSpec, Task, TaskSpec, TaskState, TaskStatus
from manager.store import Change, EventKind, Store
from raft import StateMachine

FILL = b"fill"
OBJECTS = 100_000
_NODES = 1000
_CHUNK_PAIRS = 256


class Machine(StateMachine, Protocol):
    def count(self) -> int:
        """How many objects it holds."""
        ...


class Pairs:
    """The last request of each key."""

    def __init__(self) -> None:
        self._held: dict[bytes, bytes] = {}

    def count(self) -> int:
        return len(self._held)

    def apply(self, index: int, request_id: bytes, command: bytes) -> None:
        filled = map(put_request, range(OBJECTS, 2 * OBJECTS)) if command == FILL else (command,)
        self._held.update((key_of(request), request) for request in filled)

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        held = tuple(self._held.values())
        return lambda: (b"".join(held[at : at + _CHUNK_PAIRS]) for at in range(0, len(held), _CHUNK_PAIRS))

    def thaw(self, index: int, chunks: Iterator[bytes]) -> Callable[[], None]:
        held = {}
        for chunk in chunks:
            for at in range(0, len(chunk), REQUEST_BYTES):
                request = chunk[at : at + REQUEST_BYTES]
                held[key_of(request)] = request

        def use() -> None:
            self._held = held

        return use


class Tasks:
    """The manager's own store, filled with tasks; other commands change nothing."""

    def __init__(self) -> None:
        self._store = Store()

    def count(self) -> int:
        return sum(1 for _ in self._store.tasks())

    def apply(self, index: int, request_id: bytes, command: bytes) -> None:
        if command == FILL:
            changes = [Change(EventKind.CREATE, item) for item in _service_with_tasks()]
            self._store.expect(request_id, changes, 0)
            self._store.apply(index, request_id, b"")

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        return self._store.freeze()

    def thaw(self, index: int, chunks: Iterator[bytes]) -> Callable[[], None]:
        return self._store.thaw(index, chunks)


def _service_with_tasks() -> Iterator[Service | Task]:
    spec = TaskSpec(container=ContainerSpec(image="fake"))
    service = Service(id="service", spec=ServiceSpec("many", task=spec, replicas=OBJECTS))
    yield service
    for slot in range(1, OBJECTS + 1):
        yield Task(
            id=f"task{slot}",
            service_id=service.id,
            slot=slot,
            node_id=f"node{slot % _NODES}",
            spec=spec,
            status=TaskStatus(state=TaskState.RUNNING),
        )
