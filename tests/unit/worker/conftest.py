import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import pytest

from core.clock import ManualClock
from tests.support.dispatcher import PlayedCluster
from worker.agent import Agent
from worker.database import MemoryDatabase
from worker.executor.fake import FakeExecutor
from worker.published import NoPublishedPorts

StartAgent = Callable[..., Agent]


@pytest.fixture
def cluster() -> PlayedCluster:
    return PlayedCluster("m1:2377", "m2:2377", "m3:2377")


@pytest.fixture
def executor() -> FakeExecutor:
    return FakeExecutor()


@pytest.fixture
async def start_agent(cluster: PlayedCluster, executor: FakeExecutor) -> AsyncIterator[StartAgent]:
    """Starts agents of one node; they are stopped after the test."""
    running: list[asyncio.Task[None]] = []

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
        running.append(asyncio.create_task(agent.run()))
        return agent

    yield start
    for job in running:
        job.cancel()
    await asyncio.gather(*running, return_exceptions=True)
