"""Where a task's templates are filled in: they are others' work, which may take long, and a daemon must go on."""

import asyncio
import threading
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from core.gotemplate import TemplateError
from core.ids import new_id
from core.model import Config, ConfigReference, ConfigSpec, ContainerSpec, Task, TaskSpec
from worker.dependencies import Dependencies
from worker.executor import TaskError
from worker.executor.docker import templates as module
from worker.executor.docker.controller import DockerController, Shared
from worker.executor.docker.files import TaskFiles

LOOP = asyncio.SelectorEventLoop
INFO = {"Name": "vm1", "Architecture": "x86_64", "OSType": "linux", "NCPU": 1, "MemTotal": 1, "ServerVersion": "28"}


@pytest.mark.parametrize(
    ("work", "container"),
    [
        ("expand", ContainerSpec(hostname="{{.Node.ID}}")),
        ("expand_payload", ContainerSpec(configs=(ConfigReference("c1", "site"),))),
    ],
)
async def test_templates_are_filled_in_beside_the_loop(
    work: str, container: ContainerSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def fail(*arguments: Any) -> None:
        threads.append(threading.current_thread())
        raise TemplateError("it: no")

    monkeypatch.setattr(module, work, fail)
    dependencies = Dependencies()
    dependencies.replace([Config(id="c1", spec=ConfigSpec(data=b"{{", templating="golang"))])
    shared = Shared(
        engine=Mock(info=AsyncMock(return_value=INFO)),
        containers=Mock(find=AsyncMock(return_value=None)),
        images=Mock(),
        files=TaskFiles(tmp_path, dependencies),
        slots=asyncio.Semaphore(1),
        cluster_id="c",
        node_id="n",
    )
    with pytest.raises(TaskError, match="the template of it: no"):
        await DockerController(shared, Task(id=new_id(), spec=TaskSpec(container=container))).prepare()
    assert [thread is threading.main_thread() for thread in threads] == [False]
    shared.files.close()
