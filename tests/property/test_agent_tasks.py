"""Whatever is wanted of a task, in whatever order, and however its container behaves."""

import asyncio
import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import ManualClock
from core.model import TaskState, TaskStatus
from tests.support.tasks import make_task
from tests.support.warp import WarpLoop
from worker import machine
from worker.executor.fake import FakeExecutor, Script
from worker.task_manager import TaskManager

DESIRED = [TaskState.READY, TaskState.RUNNING, TaskState.SHUTDOWN, TaskState.REMOVE]

delays = st.sampled_from([0.0, 0.5, 3.0])
errors = st.sampled_from(["", "", "", "broken"])
scripts = st.builds(
    Script,
    prepare_delay=delays,
    prepare_error=errors,
    start_delay=delays,
    start_error=errors,
    runs_for=st.sampled_from([None, 0.1, 2.0]),
    exit_code=st.sampled_from([0, 3]),
    stop_delay=delays,
)
wishes = st.sampled_from([*DESIRED, "release", "engine goes", "engine comes", "restart"])
events = st.lists(st.tuples(st.sampled_from([0.0, 0.3, 1.0, 5.0]), wishes), max_size=8)


class Agent:
    """One task on an engine; `restart` is a daemon that ends and begins again with what it had written down."""

    def __init__(self, script: Script, ingress: bool) -> None:
        self.executor = FakeExecutor(script=lambda _: script)
        self.told: list[TaskStatus] = []
        self.wanted = make_task(desired=TaskState.READY, ingress=ingress)
        self.begin(self.wanted.status)

    def begin(self, status: TaskStatus) -> None:
        controller = self.executor.controller(self.wanted)
        self.manager = TaskManager(self.wanted, status, controller, ManualClock(), self.hear)
        self.manager.start()

    def hear(self, task_id: str, status: TaskStatus) -> None:
        self.told.append(status)

    async def take(self, wish: object) -> None:
        match wish:
            case TaskState():
                self.wanted = dataclasses.replace(self.wanted, desired_state=max(wish, self.wanted.desired_state))
                self.manager.update(dataclasses.replace(self.wanted, desired_state=wish))
            case "release":
                self.manager.release()
            case "engine goes":
                self.executor.set_down("away")
            case "engine comes":
                self.executor.set_down("")
            case "restart":
                await self.manager.close()
                self.begin(self.manager.status)


async def live(script: Script, ingress: bool, happenings: list[tuple[float, object]]) -> Agent:
    agent = Agent(script, ingress)
    for delay, wish in happenings:
        await asyncio.sleep(delay)
        await agent.take(wish)
    agent.executor.set_down("")
    await asyncio.sleep(100)
    await agent.manager.close()
    return agent


@settings(max_examples=300, deadline=None)
@given(scripts, st.booleans(), events)
def test_a_task_only_goes_forward_and_ends_where_it_shall(script, ingress, happenings):
    with asyncio.Runner(loop_factory=WarpLoop) as runner:
        agent = runner.run(live(script, ingress, happenings))
    states = [status.state for status in agent.told]
    assert states == sorted(set(states))
    assert sum(machine.is_final(state) for state in states) <= 1
    last = states[-1]
    desired = agent.wanted.desired_state
    container = agent.executor.containers.get("task-1")
    alive = container is not None and container.started and not container.ended.done()
    if desired >= TaskState.SHUTDOWN:
        assert machine.is_final(last)
        assert not alive
    elif desired == TaskState.READY:
        assert last in (TaskState.READY, TaskState.REJECTED)
    else:
        assert last == TaskState.RUNNING or machine.is_final(last)
        assert alive == (last == TaskState.RUNNING)
