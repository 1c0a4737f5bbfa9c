from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from core.clock import SECOND
from tests.support.api_server import serve
from tests.support.docker_cli import DockerCli
from tests.support.fake_engine import FakeEngine
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import START


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[FakeEngine]:
    async with FakeEngine(tmp_path / "engine.sock").serving() as engine:
        yield engine


@pytest.fixture
def node(engine: FakeEngine) -> FakeNode:
    node = FakeNode()
    node.engine_url = engine.url
    return node


@pytest.fixture
def after_the_cluster(monkeypatch: pytest.MonkeyPatch) -> int:
    """Seconds since the epoch, which for events is the past: a cluster in memory has a clock of its own."""
    monkeypatch.setattr("pyswarm.engineapi.handlers.events.time_ns", lambda: START + 20_000 * SECOND)
    return START // SECOND + 10_000


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "pyswarm.sock"


@pytest.fixture
async def session(node: FakeNode, socket_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with serve(node, socket_path) as client:
        yield client


@pytest.fixture
async def docker(session: aiohttp.ClientSession, socket_path: Path, tmp_path: Path) -> DockerCli:
    return DockerCli(socket_path, tmp_path)
