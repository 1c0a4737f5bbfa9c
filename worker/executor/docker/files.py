"""A task's secrets and configs as files: in a tmpfs of the task's own, each bound into its container.

Nothing of them is ever written to a disk. The files are called by numbers: what a service says of names and paths is
for the container's own file system, where the engine resolves it.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from core.files import make_private_folder
from core.ids import is_id
from core.logs import logger
from core.model import Dependency, DependencyKey, FileTarget, Task
from core.model.dependencies import key_of, name_of, noun_of, references_of, target_of
from worker.dependencies import Dependencies
from worker.executor import TaskError
from worker.executor.docker import tmpfs

T = TypeVar("T")
Expand = Callable[[Dependency, Mapping[DependencyKey, Dependency]], Awaitable[bytes]]
"""A template, and all secrets and configs of the task."""

log = logger("worker.docker")


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes = field(repr=False)
    target: FileTarget


class TaskFiles:
    """In `folder`, one mount for each task that has any. What is done to mounts is done in turn, and seen through."""

    def __init__(self, folder: Path, dependencies: Dependencies) -> None:
        self._folder = folder
        self._dependencies = dependencies
        self._thread = ThreadPoolExecutor(1, "task-files")

    async def provide(self, task: Task, expand: Expand) -> None:
        """Returns when the files are there for `binds`. `expand` tells what a template comes to.

        Raises TaskError for a secret or config that is gone, and where nothing can be mounted; and what `expand` does.
        """
        references = references_of(task.spec.container)
        if not references:
            return
        held: dict[DependencyKey, Dependency] = {}
        for reference in references:
            item = await self._dependencies.get(key_of(reference))
            if item is None:
                noun, name = noun_of(key_of(reference)[0]), name_of(reference)
                raise TaskError(f"{noun} {name} is not there any more: it was removed; update the service without it")
            held[key_of(reference)] = item
        files = []
        for reference in references:
            item = held[key_of(reference)]
            data = await expand(item, held) if item.spec.templating else item.spec.data
            files.append(_File(data, reference.file))
        try:
            await self._run(_write, self._place(task.id), files)
        except OSError as error:
            raise TaskError(
                f"the task's secrets and configs cannot be mounted: {error}; the daemon must run as root"
            ) from error

    @asynccontextmanager
    async def given(self, task: Task, expand: Expand) -> AsyncIterator[None]:
        """With the files there; they go if what needs them fails for good. Raises what `provide` does."""
        await self.provide(task, expand)
        try:
            yield
        except TaskError:
            await self.remove(task.id)
            raise

    def binds(self, task: Task) -> list[dict[str, Any]]:
        """The mounts of the task's container, as the engine is told of them."""
        return [
            {
                "Type": "bind",
                "Source": str(self._place(task.id) / str(number)),
                "Target": target_of(reference),
                "ReadOnly": True,
            }
            for number, reference in enumerate(references_of(task.spec.container))
        ]

    async def remove(self, task_id: str) -> None:
        """The container has ended, or is gone: it runs once."""
        if is_id(task_id):
            await self._run(_remove, self._folder / task_id)

    def sweep(self, keep: Collection[str]) -> None:
        """Those of other tasks than `keep` go, before anything else is done."""
        self._thread.submit(clear, self._folder, keep)

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    def _place(self, task_id: str) -> Path:
        """Raises TaskError for what would lead out of the folder."""
        if not is_id(task_id):
            raise TaskError(f"{task_id!r} is no task's id")
        return self._folder / task_id

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def clear(folder: Path, keep: Collection[str] = ()) -> None:
    """Removes the files of all tasks but `keep`."""
    if folder.is_dir():
        for place in folder.iterdir():
            if place.name not in keep:
                _remove(place)


def _write(place: Path, files: Sequence[_File]) -> None:
    """Nothing if they are there: what is complete is read-only."""
    if place.is_mount():
        if tmpfs.is_read_only(place):
            return
        tmpfs.unmount(place)
    make_private_folder(place.parent)
    place.mkdir(mode=0o700, exist_ok=True)
    tmpfs.mount(place, _size(files), len(files))
    try:
        for number, file in enumerate(files):
            _write_file(place / str(number), file)
        tmpfs.make_read_only(place)
    except OSError:
        _remove(place)
        raise


def _write_file(path: Path, file: _File) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as opened:
        opened.write(file.data)
        os.fchown(descriptor, int(file.target.uid), int(file.target.gid))
        os.fchmod(descriptor, file.target.mode)


def _size(files: Iterable[_File]) -> int:
    """Whole pages, and never 0: that would be without limit."""
    page = os.sysconf("SC_PAGESIZE")
    return sum(max(1, -(-len(file.data) // page)) * page for file in files)


def _remove(place: Path) -> None:
    """A mount that stays is tried again with the task's container, and when the daemon starts."""
    try:
        if place.is_mount():
            tmpfs.unmount(place)
        place.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("a task's secrets and configs stay in memory", place=str(place), error=str(error))
