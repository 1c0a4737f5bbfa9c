"""Agents of one node against played managers, on a loop on which nobody waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import pytest

from core.clock import ManualClock
from tests.support.dispatcher import PlayedCluster
from tests.support.warp import WarpLoop
from worker.agent import Agent
from worker.database import MemoryDatabase
from worker.executor.fake import FakeExecutor
from worker.published import NoPublishedPorts

StartAgent = Callable[..., Agent]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Function) -> dict[str, LoopFactory]:
    """A module whose tests must really wait says so by a `LOOP` of its own."""
    return {"loop": getattr(item.module, "LOOP", WarpLoop)}


@pytest.fixture
def cluster() -> PlayedCluster:
    return PlayedCluster("m1:2377", "m2:2377", "m3:2377")


@pytest.fixture
def executor() -> FakeExecutor:
    return FakeExecutor()


@pytest.fixture
async def start_agent(cluster: PlayedCluster, executor: FakeExecutor) -> AsyncIterator[StartAgent]:
    """Starts agents of one node. An agent's `stop` ends it as a stopped daemon does; all are stopped in the end."""
    running: dict[Agent, asyncio.Task[None]] = {}

    def start(**changes: Any) -> Agent:
        arguments: dict[str, Any] = {
            "connect": cluster.connect,
            "managers": ["m1:2377"],
            "executor": executor,
            "database": MemoryDatabase(),
            "published_ports": NoPublishedPorts(),
            "clock": ManualClock(),
            "rng": Random(1),
            "on_info": lambda info: None,
        }
        agent = Agent(**(arguments | changes))
        running[agent] = asyncio.create_task(agent.run())
        return agent

    async def stop(agent: Agent) -> None:
        running[agent].cancel()
        await asyncio.wait([running[agent]])

    start.stop = stop
    yield start
    for agent in running:
        await stop(agent)
        assert running[agent].cancelled(), running[agent].exception()
