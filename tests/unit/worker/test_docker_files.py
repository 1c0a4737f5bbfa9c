"""A task's secrets and configs as files, where nothing need be mounted. Mounts themselves are held on a real host."""

import asyncio
import os
from pathlib import Path
from threading import Event

import pytest

from core.ids import new_id
from core.model import Config, ConfigReference, ContainerSpec, FileTarget, Task, TaskSpec
from worker.dependencies import Dependencies
from worker.executor.docker import files as module
from worker.executor.docker.files import TaskFiles

LOOP = asyncio.SelectorEventLoop


async def no_template(item, held) -> bytes:
    raise AssertionError


async def test_files_go_even_if_their_folder_was_only_about_to_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = Event(), Event()

    def write(place: Path, files: object) -> None:
        begun.set()
        go_on.wait()
        place.mkdir()

    monkeypatch.setattr(module, "_write", write)
    dependencies = Dependencies()
    dependencies.replace([Config(id="c1")])
    container = ContainerSpec(configs=(ConfigReference("c1", "site"),))
    task = Task(id=new_id(), spec=TaskSpec(container=container))
    files = TaskFiles(tmp_path, dependencies)
    providing = asyncio.ensure_future(files.provide(task, no_template))
    await asyncio.to_thread(begun.wait)
    removing = asyncio.ensure_future(files.remove(task.id))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(providing, removing)
    assert os.listdir(tmp_path) == []
    files.close()


def test_a_file_does_not_show_what_it_holds() -> None:
    assert "hidden" not in repr(module._File(b"hidden", FileTarget("pw")))
