"""The scheduler alone, in the store with all its indexes: from waiting tasks to assigned ones.

`python -m benchmarks.scheduler [--only NAME]... [--rounds N]`; prints JSON. `decided_s` is the leader's turns with the
transactions they write to; `committed_s` is the rest of a write: the log entries made, rolled back and applied, with a
watcher; `total_s` is both. All are processor time, medians of the rounds. `yardstick_us` is what a fixed piece of
Python cost in the same run: on a busy machine every figure grows with it.
"""

import argparse
import statistics
import time
import timeit
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report import publish, say
from core.interpreter import tune_interpreter
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
from manager.store import Commit, Store, encode_entry
from manager.turns import Turns


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


CONSTRAINT = ("node.hostname!=host3",)
SHAPES = {
    "1k nodes, 1k tasks each alone": Shape(1_000, 1_000, 1),
    "1k nodes, 10k tasks each alone": Shape(1_000, 10_000, 1),
    "1k nodes, 100k tasks each alone": Shape(1_000, 100_000, 1),
    "1k nodes, 1k tasks each alone, with a constraint": Shape(1_000, 1_000, 1, CONSTRAINT),
    "1k nodes, 10k tasks each alone, with a constraint": Shape(1_000, 10_000, 1, CONSTRAINT),
    "1k nodes, 100k tasks each alone, with a constraint": Shape(1_000, 100_000, 1, CONSTRAINT),
    "5k nodes, 10k tasks each alone": Shape(5_000, 10_000, 1),
    "10k nodes, 10k tasks each alone": Shape(10_000, 10_000, 1),
    "1k nodes, one service of 10k": Shape(1_000, 1, 10_000),
    "5k nodes, one service of 10k": Shape(5_000, 1, 10_000),
    "10k nodes, one service of 10k": Shape(10_000, 1, 10_000),
    "1k nodes, 100 services of 10": Shape(1_000, 100, 10),
}


class Bench:
    def __init__(self, shape: Shape) -> None:
        self._store = Store()
        self._seen = 0
        self._turns = Turns([Scheduler(lambda node_id: False)])
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
        self._store.watch(self._take)

    def run(self) -> None:
        while self._turn():
            continue

    def assigned(self) -> int:
        """Raises AssertionError if the watcher has not been told of each."""
        found = sum(task.status.state is TaskState.ASSIGNED for task in self._store.tasks())
        assert found == self._seen
        return found

    def _turn(self) -> bool:
        """Whether there is more to do."""
        begin = time.process_time()
        transaction = self._store.transaction()
        wake_up = self._turns.take(transaction, (), 0)
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
        self._seen += len(commit.events)


def _node(number: int) -> Node:
    description = NodeDescription(f"host{number}", Platform("x86_64", "linux"), Resources(64 * 10**9, 2**38))
    return Node(id=f"node{number}", description=description, status=NodeStatus(NodeState.READY))


def _task(service_id: str, slot: int, spec: TaskSpec) -> Task:
    status = TaskStatus(state=TaskState.PENDING)
    return Task(id=f"{service_id}.{slot}", service_id=service_id, slot=slot, spec=spec, status=status)


def measure(shape: Shape, rounds: int) -> dict[str, Any]:
    decided, committed = [], []
    for _ in range(rounds):
        bench = Bench(shape)
        bench.run()
        if bench.assigned() != shape.tasks:
            raise AssertionError(f"{bench.assigned()} of {shape.tasks} tasks were assigned")
        decided.append(bench.decided)
        committed.append(bench.committed)
    total = statistics.median(map(sum, zip(decided, committed, strict=True)))
    return {
        "tasks": shape.tasks,
        "decided_s": round(statistics.median(decided), 4),
        "committed_s": round(statistics.median(committed), 4),
        "total_s": round(total, 4),
        "total_us_per_task": round(total / shape.tasks * 1e6, 1),
        "yardstick_us": yardstick(),
    }


def yardstick() -> float:
    """Processor time of a fixed piece of work, the median of many."""
    times = timeit.repeat(
        lambda: {str(number): number for number in range(1000)}, time.process_time, number=1, repeat=99
    )
    return round(statistics.median(times) * 1e6, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=SHAPES, help="measure only this")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    tune_interpreter()
    results = {}
    for name in given.only or list(SHAPES):
        say(name)
        results[name] = measure(SHAPES[name], given.rounds)
    publish("scheduler", results)


if __name__ == "__main__":
    main()
