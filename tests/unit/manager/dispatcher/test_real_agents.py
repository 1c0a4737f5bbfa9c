"""The worker's own agent in a session with the dispatcher: both ends of the protocol are the product's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

from core.clock import SteadyClock
from core.model import LogLine, LogOptions, NodeState, Task, TaskState
from manager.dispatcher.ingress_state import IngressTable
from tests.support.leading import WEB, Leader, leading, make_service, make_task
from tests.support.waiting import eventually
from worker.agent import Agent
from worker.database import MemoryDatabase
from worker.executor.fake import FakeExecutor
from worker.link import over_channel
from worker.published import NoPublishedPorts


@asynccontextmanager
async def real_agent(leader: Leader, node_id: str, executor: FakeExecutor) -> AsyncIterator[Agent]:
    credentials = leader.issuer.credentials(node_id, cluster_id=leader.cluster.id)
    agent = Agent(
        connect=over_channel(credentials.channel),
        managers=[leader.addr],
        executor=executor,
        database=MemoryDatabase(),
        published_ports=NoPublishedPorts(),
        clock=SteadyClock(),
        rng=Random(1),
        on_info=lambda info: None,
    )
    running = asyncio.create_task(agent.run())
    try:
        yield agent
    finally:
        running.cancel()
        await asyncio.wait([running])


def state(leader: Leader, task_id: str) -> TaskState:
    task = leader.store.task(task_id)
    assert task is not None
    return task.status.state


async def test_a_task_runs_is_drained_stops_and_is_removed() -> None:
    executor, other = FakeExecutor("vm1"), FakeExecutor("vm2")
    async with leading() as leader, real_agent(leader, "n1", executor), real_agent(leader, "n2", other):
        await eventually("both are ready", lambda: all(n.status.state is NodeState.READY for n in leader.store.nodes()))
        await leader.put(make_service(ports=WEB), make_task("a", "n1", ports=WEB))
        await eventually("it runs", lambda: state(leader, "a") is TaskState.RUNNING)
        assert leader.store.task("a").status.container.address in _backends(leader)
        await leader.change(lambda tx: tx.update(_wanted(tx.task("a"), TaskState.SHUTDOWN)))
        await eventually("it has stopped", lambda: state(leader, "a") is TaskState.SHUTDOWN)
        assert "a" in executor.containers
        await leader.change(lambda tx: tx.delete(Task, "a"))
        await eventually("its container is gone", lambda: "a" not in executor.containers)


async def test_a_new_session_after_a_break_begins_with_what_there_is_now() -> None:
    executor = FakeExecutor("vm1")
    async with leading() as leader:
        await leader.put(make_service(), make_task("old", "n1"), make_task("stays", "n1"))
        async with real_agent(leader, "n1", executor) as agent:
            await eventually("they run", lambda: state(leader, "stays") is state(leader, "old") is TaskState.RUNNING)
            first = leader.dispatcher.sessions["n1"].id
            await leader.change(lambda tx: tx.delete(Task, "old"))
            agent.reconnect()
            await eventually("another session", lambda: _session(leader) not in ("", first))
            await leader.put(make_task("new", "n1"))
            await eventually("it runs", lambda: state(leader, "new") is TaskState.RUNNING)
            await eventually("the other is gone", lambda: set(executor.containers) == {"stays", "new"})


async def test_LOG_01_logs_of_a_real_agent() -> None:
    executor = FakeExecutor("vm1")
    async with leading() as leader, real_agent(leader, "n1", executor):
        await leader.put(make_service(), make_task("a", "n1"))
        await eventually("it runs", lambda: state(leader, "a") is TaskState.RUNNING)
        executor.containers["a"].lines += [
            LogLine("web", "n1", "a", stamp, False, b"%d\n" % stamp) for stamp in range(2000)
        ]
        lines = [line async for line in leader.logs.logs(["web"], [], LogOptions(tail=1500))]
        assert [int(line.data) for line in lines] == list(range(500, 2000))


def _backends(leader: Leader) -> list[str]:
    table = IngressTable(leader.store, 1)
    return [backend.address for port in table.state().ports for backend in port.backends]


def _session(leader: Leader) -> str:
    session = leader.dispatcher.sessions.get("n1")
    return session.id if session is not None else ""


def _wanted(task: Task | None, desired: TaskState) -> Task:
    assert task is not None
    return replace(task, desired_state=desired)
