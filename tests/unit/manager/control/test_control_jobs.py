"""What users ask of jobs: how often they have run, how far they are, what they cannot have."""

from dataclasses import replace

import pytest

from core.clock import SECOND
from core.errors import InvalidArgument
from core.model import (
    JobStatus,
    NodeState,
    Role,
    Service,
    ServiceMode,
    Task,
    TaskState,
    TaskStatus,
    UpdateConfig,
)
from manager.control import TaskCounts
from tests.support.control_world import ControlWorld, make_spec

JOB, GLOBAL_JOB = ServiceMode.REPLICATED_JOB, ServiceMode.GLOBAL_JOB


@pytest.fixture
async def world() -> ControlWorld:
    world = ControlWorld()
    await world.manager.found()
    return world


async def counts(world: ControlWorld) -> TaskCounts:
    ((_, found),) = await world.control.list_services({})
    return found


async def add(world: ControlWorld, service: Service, slot: int, state: TaskState, **fields: object) -> None:
    task = Task(f"{service.id}-{slot}-{state.name}", service_id=service.id, slot=slot, job_iteration=0)
    made = replace(task, status=TaskStatus(state=state), desired_state=TaskState.COMPLETE)
    await world.write(lambda tx: tx.create(replace(made, **fields)))


async def test_JOB_03_a_job_knows_its_runs_and_any_update_is_one(world: ControlWorld) -> None:
    begun = world.clock.now()
    service = await world.create("j", mode=JOB, total_completions=3)
    assert service.job_status == JobStatus(0, begun)
    world.clock.advance(SECOND)
    same = await world.change(service)
    assert same.job_status == JobStatus(1, begun + SECOND)
    relabelled = await world.change(same, labels={"a": "b"})
    assert relabelled.job_status == JobStatus(2, begun + SECOND)
    back = await world.control.rollback_service(relabelled.id, relabelled.meta.version)
    assert (back.job_status, back.update_status) == (JobStatus(3, begun + SECOND), None)
    assert back.spec_version == 4


async def test_a_service_that_is_no_job_has_no_runs(world: ControlWorld) -> None:
    service = await world.create("web")
    assert (await world.change(service, replicas=2)).job_status is None


async def test_a_replicated_job_is_counted_by_its_present_run(world: ControlWorld) -> None:
    service = await world.create("j", mode=JOB, total_completions=5, max_concurrent=2)
    await add(world, service, 1, TaskState.COMPLETE)
    await add(world, service, 2, TaskState.RUNNING)
    await add(world, service, 3, TaskState.FAILED, desired_state=TaskState.SHUTDOWN)
    await add(world, service, 4, TaskState.COMPLETE, job_iteration=7)
    assert await counts(world) == TaskCounts(running=1, desired=2, completed=1)


async def test_a_global_job_is_counted_by_what_has_yet_to_complete(world: ControlWorld) -> None:
    service = await world.create("g", mode=GLOBAL_JOB)
    for number, state in enumerate((TaskState.COMPLETE, TaskState.RUNNING, TaskState.PENDING)):
        await world.add_node(f"n{number}", Role.WORKER, NodeState.READY)
        await add(world, service, 0, state, node_id=f"n{number}")
    assert await counts(world) == TaskCounts(running=1, desired=2, completed=1)


async def test_jobs_are_found_by_their_mode(world: ControlWorld) -> None:
    for mode in ServiceMode:
        await world.create(mode.name.lower(), mode=mode)
    for mode in ServiceMode:
        word = mode.name.lower().replace("_", "-")
        found = await world.control.list_services({"mode": [word]})
        assert [service.spec.mode for service, _ in found] == [mode]
    with pytest.raises(InvalidArgument, match="replicated or global or replicated-job or global-job"):
        await world.control.list_services({"mode": ["job"]})


async def test_tasks_of_an_earlier_run_are_not_up_to_date(world: ControlWorld) -> None:
    service = await world.create("j", mode=JOB)
    await add(world, service, 1, TaskState.COMPLETE, spec=service.spec.task)
    current = {"_up-to-date": ["true"]}
    assert len(await world.control.list_tasks(current)) == 1
    await world.change(service)
    assert await world.control.list_tasks(current) == []


@pytest.mark.parametrize("mode", [JOB, GLOBAL_JOB])
@pytest.mark.parametrize("config", ["update", "rollback"])
async def test_JOB_05_a_job_has_no_update_or_rollback_config(
    world: ControlWorld, mode: ServiceMode, config: str
) -> None:
    with pytest.raises(InvalidArgument, match="not supported for jobs"):
        await world.create("j", mode=mode, **{config: UpdateConfig()})


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("total_completions", -1, "the number of completions"),
        ("total_completions", 100_001, "100001 completions are more than"),
        ("max_concurrent", -1, "the number of tasks at once"),
        ("max_concurrent", 0, "is 1 or more"),
        ("max_concurrent", 1_000_000_000, "1000000000 tasks at once are more than"),
    ],
)
async def test_numbers_that_cannot_be_are_refused(world: ControlWorld, field: str, value: int, reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        await world.create("j", mode=JOB, **{field: value})
    with pytest.raises(InvalidArgument, match=reason):
        await world.control.dry_run_service(make_spec("j", mode=JOB, **{field: value}))
