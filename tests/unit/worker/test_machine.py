import pytest

from core.model import ContainerStatus, TaskState, TaskStatus
from tests.support.tasks import make_task
from worker import machine
from worker.machine import Call, Observed

S = TaskState


def walk(state: TaskState, desired: TaskState, released: bool = True) -> list[tuple[Call | None, TaskState]]:
    """Every step taken from `state` if each succeeds."""
    steps = []
    while (step := machine.next_step(state, desired, released)) is not None:
        steps.append((step.call, step.reaches))
        state = step.reaches
    return steps


def test_AGT_01_a_task_walks_to_ready_and_waits_there_until_it_shall_run():
    to_ready = [(None, S.ACCEPTED), (None, S.PREPARING), (Call.PREPARE, S.READY)]
    to_complete = [(None, S.STARTING), (Call.START, S.RUNNING), (Call.WAIT, S.COMPLETE)]
    assert walk(S.ASSIGNED, S.READY) == to_ready
    assert walk(S.READY, S.READY) == []
    assert walk(S.READY, S.RUNNING) == to_complete
    assert walk(S.ASSIGNED, S.RUNNING) == to_ready + to_complete
    assert walk(S.ASSIGNED, S.COMPLETE) == to_ready + to_complete


@pytest.mark.parametrize("state", [S.NEW, S.PENDING, S.ASSIGNED])
def test_AGT_01_whatever_comes_before_assigned_begins_at_the_beginning(state):
    assert walk(state, S.RUNNING)[0] == (None, S.ACCEPTED)


@pytest.mark.parametrize("state", [S.ASSIGNED, S.ACCEPTED, S.PREPARING, S.READY])
def test_AGT_02_a_failure_before_starting_rejects(state):
    status = machine.failed(TaskStatus(state=state, message="accepted"), "no such image", Observed(), now=7)
    assert (status.state, status.err, status.message, status.timestamp) == (S.REJECTED, "no such image", "accepted", 7)


@pytest.mark.parametrize("state", [S.STARTING, S.RUNNING])
def test_AGT_02_a_failure_from_starting_on_fails_with_the_exit_code(state):
    seen = Observed(ContainerStatus(container_id="c", exit_code=3))
    status = machine.failed(TaskStatus(state=state), "task: non-zero exit (3)", seen, now=7)
    assert status.state == S.FAILED
    assert status.container == ContainerStatus(container_id="c", exit_code=3)


@pytest.mark.parametrize("desired", [S.SHUTDOWN, S.REMOVE])
@pytest.mark.parametrize("state", [S.ASSIGNED, S.ACCEPTED, S.PREPARING, S.READY, S.STARTING, S.RUNNING])
def test_AGT_04_a_task_that_shall_stop_is_shut_down_from_anywhere(state, desired):
    assert walk(state, desired) == [(Call.SHUTDOWN, S.SHUTDOWN)]


@pytest.mark.parametrize("state", [S.COMPLETE, S.SHUTDOWN, S.FAILED, S.REJECTED, S.ORPHANED])
def test_AGT_04_a_final_task_stays_as_it_is(state):
    assert walk(state, S.SHUTDOWN) == walk(state, S.REMOVE) == walk(state, S.RUNNING) == []


def test_AGT_04_a_running_task_goes_on_until_it_is_released():
    assert walk(S.RUNNING, S.SHUTDOWN, released=False) == [(Call.WAIT, S.COMPLETE)]
    assert walk(S.STARTING, S.SHUTDOWN, released=False) == [(Call.SHUTDOWN, S.SHUTDOWN)]


def test_AGT_09_an_update_that_lowers_the_desired_state_is_refused():
    task = make_task(desired=S.SHUTDOWN)
    assert machine.updated(task, make_task(desired=S.RUNNING)) is task
    higher = make_task(desired=S.REMOVE)
    assert machine.updated(task, higher) is higher


def test_a_status_keeps_its_container_when_a_step_learns_nothing_new():
    container = ContainerStatus(container_id="c", address="172.17.0.2")
    status = TaskStatus(state=S.RUNNING, container=container)
    stopped = machine.succeeded(status, machine.Step(Call.SHUTDOWN, S.SHUTDOWN, "shutdown"), Observed(), now=9)
    assert stopped == TaskStatus(timestamp=9, state=S.SHUTDOWN, message="shutdown", container=container)


def test_only_tasks_with_ingress_ports_are_routed():
    assert machine.is_routed(make_task(ingress=True))
    assert not machine.is_routed(make_task(ingress=False))
