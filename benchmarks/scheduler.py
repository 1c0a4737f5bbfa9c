"""The scheduler alone, in the store with all its indexes: from waiting tasks to assigned ones.

`python -m benchmarks.scheduler [--only NAME]...`; prints JSON. `decided_s` is the scheduler with the transaction it
writes to; `committed_s` is the rest of a write: the log entries made, rolled back and applied, with a watcher. Both are
processor time.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report import publish, say
from core.model import (
    Node,
    NodeDescription,
    NodeState,
    NodeStatus,
    Placement,
    Platform,
    Resources,
    Task,
    TaskSpec,
    TaskState,
    TaskStatus,
)
from manager.scheduler import Scheduler
from manager.store import Commit, Event, Store, encode_entry


@dataclass(frozen=True)
class Shape:
    nodes: int
    services: int
    replicas: int
    """Of each service."""
    constraints: tuple[str, ...] = ()

    @property
    def tasks(self) -> int:
        return self.services * self.replicas


SHAPES = {
    "1k nodes, one service of 10k": Shape(1_000, 1, 10_000),
    "10k nodes, one service of 10k": Shape(10_000, 1, 10_000),
    "1k nodes, 1k tasks each alone": Shape(1_000, 1_000, 1),
    "1k nodes, 10k tasks each alone": Shape(1_000, 10_000, 1),
    "5k nodes, 10k tasks each alone": Shape(5_000, 10_000, 1),
    "10k nodes, 10k tasks each alone": Shape(10_000, 10_000, 1),
    "1k nodes, 10k tasks each alone, with a constraint": Shape(1_000, 10_000, 1, ("node.hostname!=host3",)),
    "1k nodes, 100 services of 10": Shape(1_000, 100, 10),
}


class Bench:
    def __init__(self, shape: Shape) -> None:
        self._store = Store()
        self._events: list[Event] = []
        self._store.watch(self._take)
        self._scheduler = Scheduler(lambda node_id: False)
        self._entries = 0
        self.decided = self.committed = 0.0
        transaction = self._store.transaction()
        for number in range(shape.nodes):
            transaction.create(_node(number))
        placement = Placement(constraints=shape.constraints) if shape.constraints else None
        for service in range(shape.services):
            spec = TaskSpec(placement=placement)
            for replica in range(shape.replicas):
                transaction.create(_task(f"service{service}", replica + 1, spec))
        changes = transaction.changes()
        transaction.rollback()
        self._store.expect(b"setup", changes, 0)
        self._store.apply(1, b"setup", b"")
        self._events.clear()

    def run(self) -> None:
        self._turn(first=True)
        while self._turn():
            continue

    def assigned(self) -> int:
        return sum(task.status.state is TaskState.ASSIGNED for task in self._store.tasks())

    def _turn(self, first: bool = False) -> bool:
        """Whether there is more to do."""
        events, self._events = self._events, []
        begin = time.process_time()
        transaction = self._store.transaction()
        if first:
            self._scheduler.start(transaction, 0)
        wake_up = self._scheduler.step(transaction, events, 0)
        decided = time.process_time()
        changes = transaction.changes()
        self._entries += 1
        request_id = self._entries.to_bytes(8, "big")
        entry = encode_entry(changes, 0, self._store.spec)
        transaction.rollback()
        self._store.expect(request_id, changes, 0)
        self._store.apply(self._store.index + 1, request_id, entry)
        self.decided += decided - begin
        self.committed += time.process_time() - decided
        return wake_up is not None or bool(changes)

    def _take(self, commit: Commit) -> None:
        self._events.extend(commit.events)


def _node(number: int) -> Node:
    description = NodeDescription(f"host{number}", Platform("x86_64", "linux"), Resources(64 * 10**9, 2**38))
    return Node(id=f"node{number}", description=description, status=NodeStatus(NodeState.READY))


def _task(service_id: str, slot: int, spec: TaskSpec) -> Task:
    status = TaskStatus(state=TaskState.PENDING)
    return Task(id=f"{service_id}.{slot}", service_id=service_id, slot=slot, spec=spec, status=status)


def measure(shape: Shape, rounds: int = 3) -> dict[str, Any]:
    """The best of a few rounds: other work on the machine only ever adds to one."""
    decided, committed = [], []
    for _ in range(rounds):
        bench = Bench(shape)
        bench.run()
        if bench.assigned() != shape.tasks:
            raise AssertionError(f"{bench.assigned()} of {shape.tasks} tasks were assigned")
        decided.append(bench.decided)
        committed.append(bench.committed)
    return {
        "tasks": shape.tasks,
        "decided_s": round(min(decided), 4),
        "decided_us_per_task": round(min(decided) / shape.tasks * 1e6, 1),
        "committed_s": round(min(committed), 4),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=SHAPES, help="measure only this")
    only = parser.parse_args(arguments).only or list(SHAPES)
    results = {}
    for name in only:
        say(name)
        results[name] = measure(SHAPES[name])
    publish("scheduler", results)


if __name__ == "__main__":
    main()
