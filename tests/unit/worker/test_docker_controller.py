"""What a controller makes of an engine that refuses, made up."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pytest

from core.ids import new_id
from core.model import ContainerStatus, Task
from worker.dependencies import Dependencies
from worker.executor.docker.containers import Container
from worker.executor.docker.controller import DockerController, Shared
from worker.executor.docker.engine import EngineError
from worker.executor.docker.files import TaskFiles

LOOP = asyncio.SelectorEventLoop


@pytest.fixture
def files(tmp_path: Path) -> Iterator[TaskFiles]:
    made = TaskFiles(tmp_path, Dependencies())
    yield made
    made.close()


def controller_of(container: Container, files: TaskFiles, **calls: AsyncMock) -> DockerController:
    shared = Shared(
        engine=Mock(**calls),
        containers=Mock(find=AsyncMock(return_value=container)),
        images=Mock(),
        files=files,
        slots=asyncio.Semaphore(1),
        cluster_id="c",
        node_id="n",
    )
    return DockerController(shared, Task(id=new_id()))


def refusing(status: int, message: str) -> AsyncMock:
    return AsyncMock(side_effect=EngineError(status, message))


@pytest.mark.parametrize(("refused", "said"), [("start", "starting container failed: no room"), ("inspect", "no room")])
async def test_only_what_failed_at_the_start_is_said_to_have(refused: str, said: str, files: TaskFiles) -> None:
    calls = {"start": AsyncMock(), "inspect": AsyncMock(), refused: refusing(500, "no room")}
    container = Container("c1")
    with pytest.raises(EngineError) as caught:
        await controller_of(container, files, **calls).start()
    assert str(caught.value) == said
    assert container.started is (refused == "inspect")


@pytest.mark.parametrize(
    ("inspect", "told"),
    [
        (AsyncMock(return_value={"State": {"ExitCode": 127}}), ContainerStatus(container_id="c1", exit_code=127)),
        (refusing(404, "no such container"), None),
    ],
)
async def test_a_container_that_could_not_be_started_is_told_with_its_exit_code(
    inspect: AsyncMock, told: ContainerStatus | None, files: TaskFiles
) -> None:
    controller = controller_of(Container("c1"), files, start=refusing(400, "no such file"), inspect=inspect)
    with pytest.raises(EngineError, match="starting container failed: no such file"):
        await controller.start()
    assert controller.observed.container == told
