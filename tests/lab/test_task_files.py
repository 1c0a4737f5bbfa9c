"""Secrets and configs as files in a tmpfs of their task's own."""

import asyncio
import os
import stat
import subprocess
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from core.ids import new_id
from core.model import (
    Config,
    ConfigReference,
    ConfigSpec,
    ContainerSpec,
    FileTarget,
    NodeDescription,
    Secret,
    SecretReference,
    SecretSpec,
    Task,
    TaskSpec,
)
from tests.support.tasks import make_task
from worker.dependencies import Dependencies
from worker.executor import TaskError, TemporaryError
from worker.executor.docker import tmpfs
from worker.executor.docker.files import TaskFiles, clear
from worker.payload import expand_payload

pytestmark = pytest.mark.lab

SECRET = Secret(id="s1", spec=SecretSpec(name="one", data=b"hidden words" * 1000))
CONFIG = Config(id="c1", spec=ConfigSpec(name="two", data=b"on {{.Node.Hostname}}"))
TEMPLATE = Config(id="t1", spec=replace(CONFIG.spec, name="three", templating="golang"))
CONTAINER = ContainerSpec(
    secrets=(SecretReference("s1", "one", FileTarget("/a/../b", "1000", "50", 0o440)),),
    configs=(ConfigReference("c1", "two", FileTarget("two")),),
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "mounts"
    clear(tmp_path / "mounts")


@pytest.fixture
def dependencies() -> Dependencies:
    held = Dependencies()
    held.replace([SECRET, CONFIG, TEMPLATE])
    return held


@pytest.fixture
def files(folder: Path, dependencies: Dependencies) -> TaskFiles:
    return TaskFiles(folder, dependencies)


def task_with(container: ContainerSpec = CONTAINER) -> Task:
    return replace(make_task(new_id()), spec=TaskSpec(container=container))


def provide(files: TaskFiles, task: Task) -> Awaitable[None]:
    async def expand(item, held) -> bytes:
        return expand_payload(item, task, NodeDescription(hostname="host-1"), held)

    return files.provide(task, expand)


async def never(item, held) -> bytes:
    raise AssertionError("there is no template")


def mounted(place: Path, column: str) -> str:
    """What findmnt says of the mount."""
    return subprocess.run(["findmnt", "-no", column, place], capture_output=True, text=True).stdout.strip()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def seen(path: Path) -> tuple[bytes, int, int, int]:
    found = path.stat()
    return path.read_bytes(), stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


async def test_files_lie_in_a_read_only_tmpfs_that_root_alone_may_enter(files: TaskFiles, folder: Path) -> None:
    task = task_with()
    await provide(files, task)
    place = folder / task.id
    assert mounted(place, "FSTYPE") == "tmpfs"
    assert seen(place / "0") == (SECRET.spec.data, 0o440, 1000, 50)
    assert seen(place / "1") == (CONFIG.spec.data, 0o444, 0, 0)
    for path in (place, folder):
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) == (0o700, 0)
    with pytest.raises(OSError, match="Read-only"):
        (place / "2").write_bytes(b"x")
    assert os.statvfs(place).f_blocks * os.statvfs(place).f_bsize < 20_000, "no larger than it must be"
    assert {"nosuid", "nodev", "noexec", "ro"} <= set(mounted(place, "OPTIONS").split(","))


async def test_targets_are_for_the_container_alone(files: TaskFiles, folder: Path) -> None:
    task = task_with()
    await provide(files, task)
    assert [(mount["Source"], mount["Target"]) for mount in files.binds(task)] == [
        (f"{folder}/{task.id}/0", "/b"),
        (f"{folder}/{task.id}/1", "/two"),
    ]
    assert all((mount["Type"], mount["ReadOnly"]) == ("bind", True) for mount in files.binds(task))
    assert names_in(folder / task.id) == ["0", "1"]


async def test_a_task_without_any_has_no_mount(files: TaskFiles, folder: Path) -> None:
    task = task_with(ContainerSpec())
    await provide(files, task)
    assert files.binds(task) == []
    assert names_in(folder) == []


async def test_what_is_there_stays_and_what_was_left_half_done_is_made_again(files: TaskFiles, folder: Path) -> None:
    task = task_with()
    await provide(files, task)
    device = (folder / task.id).stat().st_dev
    await provide(files, task)
    assert (folder / task.id).stat().st_dev == device
    half = task_with()
    (folder / half.id).mkdir()
    tmpfs.mount(folder / half.id, 4096, 1)
    (folder / half.id / "0").write_bytes(b"half")
    await provide(files, half)
    assert (folder / half.id / "0").read_bytes() == SECRET.spec.data


async def test_after_the_end_nothing_is_left(files: TaskFiles, folder: Path) -> None:
    task = task_with()
    await provide(files, task)
    await files.remove(task.id)
    assert names_in(folder) == []
    await files.remove(task.id)
    await files.remove("../..")


async def test_files_go_when_what_needs_them_fails_for_good_and_stay_when_it_may_be_tried_again(
    files: TaskFiles, folder: Path
) -> None:
    for error, left in ((TemporaryError("busy"), 1), (TaskError("no image"), 0)):
        task = task_with(ContainerSpec(configs=(ConfigReference("c1", "two"),)))
        with suppress(type(error)):
            async with files.given(task, never):
                assert task.id in names_in(folder)
                raise error
        assert len(names_in(folder)) == left
        clear(folder)


async def test_the_leftovers_of_other_tasks_are_swept_first(files: TaskFiles, folder: Path, dependencies) -> None:
    kept, left = task_with(), task_with()
    await provide(files, kept)
    await provide(files, left)
    (folder / "not mounted").mkdir()
    again = TaskFiles(folder, dependencies)
    again.sweep([kept.id])
    await provide(again, kept)
    assert names_in(folder) == [kept.id]


async def test_a_secret_that_is_gone_is_named_and_nothing_is_mounted(folder: Path) -> None:
    held = Dependencies()
    held.replace([CONFIG])
    with pytest.raises(TaskError, match=r"^secret one is not there any more"):
        await provide(TaskFiles(folder, held), task_with())
    assert names_in(folder) == []


async def test_after_a_restart_a_task_waits_until_a_manager_has_sent_its_secrets(folder: Path) -> None:
    held = Dependencies()
    task = task_with()
    providing = asyncio.ensure_future(provide(TaskFiles(folder, held), task))
    await asyncio.sleep(0.1)
    assert not providing.done()
    held.replace([SECRET, CONFIG])
    await providing
    assert (folder / task.id / "0").exists()


async def test_a_template_is_filled_in(files: TaskFiles, folder: Path) -> None:
    container = ContainerSpec(configs=(ConfigReference("t1", "three"), ConfigReference("c1", "two")))
    task = task_with(container)
    await provide(files, task)
    assert (folder / task.id / "0").read_bytes() == b"on host-1"
    assert (folder / task.id / "1").read_bytes() == CONFIG.spec.data


async def test_more_than_can_be_mounted_fails_the_task_with_the_reason(tmp_path: Path, dependencies) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TaskError, match=r"cannot be mounted: .*; the daemon must run as root"):
        await provide(TaskFiles(tmp_path / "file", dependencies), task_with())


async def test_a_task_whose_id_is_a_path_gets_nothing(files: TaskFiles, folder: Path) -> None:
    task = replace(task_with(), id="../x")
    with pytest.raises(TaskError, match="is no task's id"):
        await provide(files, task)
    assert names_in(folder) == []
