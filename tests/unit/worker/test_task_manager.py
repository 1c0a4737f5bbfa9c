import asyncio
import dataclasses

import pytest

from core.clock import ManualClock
from core.model import TaskState, TaskStatus
from tests.support.tasks import make_task
from worker.executor.fake import FakeExecutor, Script
from worker.task_manager import RELEASE_LIMIT, RETRY_DELAY, TaskManager

S = TaskState


class Watched:
    """A task manager and every status it told."""

    def __init__(self, task, executor=None, status=None):
        self.executor = executor or FakeExecutor()
        self.told: list[TaskStatus] = []
        self._changed = asyncio.Event()
        controller = self.executor.controller(task)
        self.manager = TaskManager(task, status or task.status, controller, ManualClock(), self._on_status)
        self.manager.start()

    def _on_status(self, task_id, status):
        self.told.append(status)
        self._changed.set()

    @property
    def states(self):
        return [status.state for status in self.told]

    async def until(self, state):
        return await self.until_it(lambda status: status.state == state)

    async def until_it(self, holds):
        while not holds(self.manager.status):
            self._changed.clear()
            await self._changed.wait()
        return self.manager.status

    def want(self, desired):
        self.manager.update(dataclasses.replace(self.manager.task, desired_state=desired))


async def test_AGT_01_every_state_of_the_walk_is_told():
    watched = Watched(make_task(desired=S.READY))
    await watched.until(S.READY)
    assert watched.states == [S.ACCEPTED, S.PREPARING, S.READY]
    watched.want(S.RUNNING)
    await watched.until(S.RUNNING)
    watched.executor.exit("task-1", 0)
    await watched.until(S.COMPLETE)
    assert watched.states[3:] == [S.STARTING, S.RUNNING, S.COMPLETE]
    assert [status.message for status in watched.told[3:]] == ["starting", "started", "finished"]


@pytest.mark.parametrize(
    ("script", "state", "error"),
    [
        (Script(prepare_error="no such image"), S.REJECTED, "no such image"),
        (Script(start_error="port is taken"), S.FAILED, "port is taken"),
        (Script(runs_for=5, exit_code=3), S.FAILED, "task: non-zero exit (3)"),
    ],
)
async def test_AGT_02_errors_are_final_and_say_why(script, state, error):
    watched = Watched(make_task(), FakeExecutor(script=lambda task: script))
    status = await watched.until(state)
    assert status.err == error
    assert (status.container.exit_code if status.container else 0) == script.exit_code


async def test_AGT_02_a_temporary_error_is_retried_after_a_second_and_changes_nothing():
    executor = FakeExecutor()
    executor.set_down("the engine restarts")
    watched = Watched(make_task(), executor)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    loop.call_later(1.5, executor.set_down, "")
    await watched.until(S.RUNNING)
    assert watched.states == [S.ACCEPTED, S.PREPARING, S.READY, S.STARTING, S.RUNNING]
    assert loop.time() - begin == pytest.approx(2 * RETRY_DELAY, abs=0.5)


async def test_an_unhealthy_task_gets_no_new_connections_then_stops_and_has_failed():
    watched = Watched(make_task(ingress=True))
    await watched.until(S.RUNNING)
    assert watched.manager.status.container.address
    watched.executor.sicken("task-1", "no answer")
    await watched.until_it(lambda status: not status.container.address)
    assert not watched.executor.containers["task-1"].ended.done()
    status = await watched.until(S.FAILED)
    assert status.err == "no answer"
    assert watched.executor.containers["task-1"].ended.done()
    withdrawn = watched.told[-2]
    assert (withdrawn.state, withdrawn.container.address) == (S.RUNNING, "")


async def test_an_unhealthy_task_that_publishes_nothing_stops_at_once():
    watched = Watched(make_task())
    await watched.until(S.RUNNING)
    watched.executor.sicken("task-1", "no answer")
    await watched.until(S.FAILED)
    assert watched.states[-2:] == [S.RUNNING, S.FAILED]


async def test_a_task_that_was_found_unhealthy_stops_whatever_it_says_after_the_daemon_restarted():
    first = Watched(make_task(ingress=True))
    await first.until(S.RUNNING)
    first.executor.sicken("task-1", "no answer")
    await first.until_it(lambda status: not status.container.address)
    await first.manager.close()
    container = first.executor.containers["task-1"]
    container.sick = asyncio.get_running_loop().create_future()
    second = Watched(first.manager.task, first.executor, first.manager.status)
    assert (await second.until(S.FAILED)).err == "no answer"
    assert container.ended.done()


async def test_AGT_02_a_fault_of_ours_fails_the_task_and_says_so():
    async def broken():
        raise KeyError("fault")

    watched = Watched(make_task(desired=S.READY))
    await watched.until(S.READY)
    watched.manager.controller.start = broken
    watched.want(S.RUNNING)
    assert (await watched.until(S.FAILED)).err == "internal error: KeyError('fault')"


async def test_AGT_02_a_step_that_is_broken_off_changes_no_state():
    watched = Watched(make_task(), FakeExecutor(script=lambda task: Script(prepare_delay=1000)))
    await watched.until(S.PREPARING)
    await asyncio.sleep(1)
    await watched.manager.close()
    assert watched.manager.status.state == S.PREPARING


async def test_AGT_03_a_resumed_task_repeats_its_step():
    executor = FakeExecutor()
    first = Watched(make_task(desired=S.READY), executor)
    await first.until(S.READY)
    for state in (S.PREPARING, S.STARTING, S.RUNNING):
        again = Watched(make_task(), executor, TaskStatus(state=state))
        await again.until(S.RUNNING)
        await again.manager.close()
    assert len(executor.containers) == 1


async def test_AGT_04_a_running_task_is_stopped():
    watched = Watched(make_task())
    await watched.until(S.RUNNING)
    watched.want(S.SHUTDOWN)
    status = await watched.until(S.SHUTDOWN)
    assert status.message == "shutdown"
    assert watched.executor.containers["task-1"].ended.done()


async def test_AGT_04_a_task_is_stopped_in_the_middle_of_a_step():
    watched = Watched(make_task(), FakeExecutor(script=lambda task: Script(prepare_delay=1000)))
    await watched.until(S.PREPARING)
    await asyncio.sleep(1)
    begin = asyncio.get_running_loop().time()
    watched.want(S.SHUTDOWN)
    watched.want(S.REMOVE)
    await watched.until(S.SHUTDOWN)
    assert asyncio.get_running_loop().time() - begin < 1
    assert watched.states == [S.ACCEPTED, S.PREPARING, S.SHUTDOWN]


async def test_AGT_04_a_task_that_ended_stays_as_it_ended():
    watched = Watched(make_task())
    await watched.until(S.RUNNING)
    watched.executor.exit("task-1", 1)
    await watched.until(S.FAILED)
    watched.want(S.SHUTDOWN)
    await asyncio.sleep(10)
    assert watched.states[-1] == S.FAILED


async def test_a_routed_task_stops_when_it_is_released():
    watched = Watched(make_task(ingress=True))
    await watched.until(S.RUNNING)
    watched.want(S.SHUTDOWN)
    await asyncio.sleep(RELEASE_LIMIT / 2)
    assert watched.states[-1] == S.RUNNING
    watched.manager.release()
    await asyncio.sleep(0.01)
    assert watched.states[-1] == S.SHUTDOWN


async def test_a_routed_task_that_nobody_releases_stops_after_two_seconds():
    watched = Watched(make_task(ingress=True))
    await watched.until(S.RUNNING)
    begin = asyncio.get_running_loop().time()
    watched.want(S.SHUTDOWN)
    watched.want(S.REMOVE)
    await watched.until(S.SHUTDOWN)
    assert asyncio.get_running_loop().time() - begin == pytest.approx(RELEASE_LIMIT, abs=0.1)


async def test_a_routed_task_that_ends_by_itself_while_it_waits_keeps_its_outcome():
    watched = Watched(make_task(ingress=True))
    await watched.until(S.RUNNING)
    watched.want(S.SHUTDOWN)
    watched.executor.exit("task-1", 0)
    await asyncio.sleep(10)
    assert watched.states[-1] == S.COMPLETE


async def test_AGT_09_a_lower_desired_state_is_refused():
    watched = Watched(make_task())
    await watched.until(S.RUNNING)
    watched.want(S.SHUTDOWN)
    watched.want(S.RUNNING)
    await watched.until(S.SHUTDOWN)
    assert watched.manager.task.desired_state == S.SHUTDOWN


async def test_removal_is_tried_until_the_engine_does_it():
    watched = Watched(make_task())
    await watched.until(S.RUNNING)
    watched.executor.set_down("the engine restarts")
    asyncio.get_running_loop().call_later(5, watched.executor.set_down, "")
    await watched.manager.remove()
    assert watched.executor.containers == {}
