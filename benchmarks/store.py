"""A hundred thousand tasks in the store: what they take, what a look at all costs, what a new leader does first.

`python -m benchmarks.store [--tasks N] [--nodes N]`; prints JSON. Times are processor time. `longest_turn_ms` is the
longest that the leader's loop holds up everything else.
"""

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

from benchmarks.report import publish, summary
from benchmarks.scheduler import yardstick
from core.ids import new_id
from core.interpreter import tune_interpreter
from core.model import (
    Cluster,
    ContainerSpec,
    ContainerStatus,
    Node,
    NodeDescription,
    NodeState,
    NodeStatus,
    Platform,
    Resources,
    Service,
    ServiceSpec,
    Task,
    TaskSpec,
    TaskState,
    TaskStatus,
)
from manager.controllers import new_controllers
from manager.store import Change, EventKind, Store, encode_entry
from manager.turns import Turns

REPLICAS = 100
_PER_ENTRY = 500
_NOW = 1_700_000_000 * 10**9


def filled(nodes: int, tasks: int) -> Store:
    """A store as a manager has it that has read the log: every entry decoded."""
    store = Store()
    objects: list[Any] = [Cluster(id="cluster"), *(_node(number) for number in range(nodes))]
    places = itertools.cycle(range(nodes))
    for number in range(tasks // REPLICAS):
        service = _service(number)
        objects.append(service)
        objects += (_task(service, slot + 1, next(places)) for slot in range(REPLICAS))
    for number, part in enumerate(_parts(objects)):
        entry = encode_entry([Change(EventKind.CREATE, item) for item in part], _NOW, store.spec)
        store.apply(number + 1, number.to_bytes(8, "big"), entry)
    return store


def _parts(objects: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(objects), _PER_ENTRY):
        yield objects[begin : begin + _PER_ENTRY]


def _node(number: int) -> Node:
    description = NodeDescription(f"host{number}", Platform("x86_64", "linux"), Resources(64 * 10**9, 2**38))
    return Node(id=f"node{number:021}", description=description, status=NodeStatus(NodeState.READY))


def _service(number: int) -> Service:
    task = TaskSpec(container=ContainerSpec(image="nginx:1.27", env=("A=1", "B=2"), labels={"app": f"app{number}"}))
    return Service(id=f"service{number:018}", spec=ServiceSpec(name=f"web-{number}", replicas=REPLICAS, task=task))


def _task(service: Service, slot: int, node: int) -> Task:
    container = ContainerStatus(container_id=f"{slot:064x}", pid=slot + 1000, address="172.17.0.9")
    return Task(
        id=new_id(),
        service_id=service.id,
        service_name=service.spec.name,
        slot=slot,
        node_id=f"node{node:021}",
        spec=service.spec.task,
        status=TaskStatus(_NOW, TaskState.RUNNING, "started", container=container, started_at=_NOW),
    )


def start_up(store: Store) -> dict[str, Any]:
    """A new leader's turns, until it has nothing more to do."""
    turns, held = Turns(new_controllers(new_id, lambda node_id: False)), []
    while True:
        begin = time.process_time()
        transaction = store.transaction()
        wake_up = turns.take(transaction, (), _NOW)
        assert not transaction.changes(), "there is nothing to repair"
        transaction.rollback()
        held.append(time.process_time() - begin)
        if turns.started and (wake_up is None or wake_up > _NOW):
            break
    return {"s": round(sum(held), 3), "turns": len(held), "longest_turn_ms": round(max(held) * 1000, 1)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=1_000)
    given = parser.parse_args(arguments)
    tune_interpreter()
    process = psutil.Process()
    before = process.memory_info().rss
    store = filled(given.nodes, given.tasks)
    after = process.memory_info().rss
    scans = []
    for _ in range(5):
        begin = time.process_time()
        running = sum(task.status.state is TaskState.RUNNING for task in store.tasks())
        scans.append(time.process_time() - begin)
        assert running == given.tasks
    results = {
        "tasks": given.tasks,
        "resident_mb": round((after - before) / 2**20, 1),
        "scan_s": summary(scans),
        "yardstick_us": yardstick(),
        "start_up": start_up(store),
    }
    publish("store", results)


if __name__ == "__main__":
    main()
