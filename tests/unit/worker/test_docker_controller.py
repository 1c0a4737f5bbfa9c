"""What a controller makes of an engine that refuses, made up."""

import asyncio
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pytest

from core.ids import new_id
from core.model import Task
from worker.dependencies import Dependencies
from worker.executor.docker.containers import Container
from worker.executor.docker.controller import DockerController, Shared
from worker.executor.docker.engine import EngineError
from worker.executor.docker.files import TaskFiles

LOOP = asyncio.SelectorEventLoop


@pytest.mark.parametrize(("refused", "said"), [("start", "starting container failed: no room"), ("inspect", "no room")])
async def test_only_what_failed_at_the_start_is_said_to_have(refused: str, said: str, tmp_path: Path) -> None:
    calls = {"start": AsyncMock(), "inspect": AsyncMock(), refused: AsyncMock(side_effect=EngineError(500, "no room"))}
    container = Container("c1")
    shared = Shared(
        engine=Mock(**calls),
        containers=Mock(find=AsyncMock(return_value=container)),
        images=Mock(),
        files=TaskFiles(tmp_path, Dependencies()),
        slots=asyncio.Semaphore(1),
        cluster_id="c",
        node_id="n",
    )
    with pytest.raises(EngineError) as caught:
        await DockerController(shared, Task(id=new_id())).start()
    assert str(caught.value) == said
    assert container.started is (refused == "inspect")
    shared.files.close()
