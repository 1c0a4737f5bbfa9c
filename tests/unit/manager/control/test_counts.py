"""Counts that are kept are those that counting anew would give."""

from random import Random

import pytest

from core.model import JobStatus, Service, ServiceMode, ServiceSpec, Task, TaskState, TaskStatus
from manager.control.counts import KnownCounts, count_tasks
from manager.store import Change, EventKind, Store, encode_entry

STATES = (TaskState.PENDING, TaskState.RUNNING, TaskState.COMPLETE, TaskState.SHUTDOWN, TaskState.FAILED)
AGENTS = Service(id="agents", spec=ServiceSpec("agents", mode=ServiceMode.GLOBAL))
JOB = Service(
    id="job",
    spec=ServiceSpec("job", mode=ServiceMode.REPLICATED_JOB, max_concurrent=2, total_completions=9),
    job_status=JobStatus(iteration=1),
)


def write(store: Store, kind: EventKind, item: Service | Task) -> None:
    store.apply(store.index + 1, b"", encode_entry([Change(kind, item)], 1, store.spec))


def draw(rng: Random, number: int) -> Task:
    job = rng.random() < 0.5
    return Task(
        id=f"t{number}",
        service_id="job" if job else "agents",
        slot=number,
        status=TaskStatus(state=rng.choice(STATES)),
        desired_state=rng.choice((TaskState.RUNNING, TaskState.COMPLETE, TaskState.SHUTDOWN)),
        job_iteration=rng.choice((0, 1)) if job else None,
    )


def change_something(rng: Random, store: Store) -> None:
    task = draw(rng, rng.randrange(20))
    known = store.task(task.id)
    if known is None:
        write(store, EventKind.CREATE, task)
    elif known.service_id != task.service_id or rng.random() < 0.3:
        write(store, EventKind.DELETE, known)
    else:
        write(store, EventKind.UPDATE, task)


@pytest.mark.parametrize("seed", range(5))
def test_counts_follow_every_change(seed: int) -> None:
    rng, store = Random(seed), Store()
    counts = KnownCounts(store)
    for service in (AGENTS, JOB):
        write(store, EventKind.CREATE, service)
    for _ in range(300):
        change_something(rng, store)
        for service in (AGENTS, JOB):
            assert counts.of(service) == count_tasks(store, service)
    other = Store()
    kept = KnownCounts(other)
    assert kept.of(JOB).completed == 0
    other.restore(store.index, iter(list(store.freeze()())))
    assert kept.of(JOB) == count_tasks(store, JOB), "a snapshot is counted too"
