"""A whole state is read beside the event loop."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from raft import Timing
from raft.storage.snapshot import FILE
from tests.support.managers import Notebook, cluster, until

TIMING = replace(Timing(), snapshot_entries=20, keep_entries=2)
COMMANDS = [b"%d" % number for number in range(40)]


async def test_a_snapshot_is_read_while_the_loop_goes_on_and_what_follows_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on, read = threading.Event(), threading.Event(), Notebook.thaw

    def slow(notebook: Notebook, index: int, chunks: Iterator[bytes]) -> Callable[[], None]:
        reading.set()
        assert go_on.wait(60)
        return read(notebook, index, chunks)

    async with cluster(tmp_path, 1, TIMING) as made:
        (manager,) = made.managers
        for command in COMMANDS:
            await manager.propose(command)
        await until((manager.folder / FILE).exists)
        await manager.kill()
        monkeypatch.setattr(Notebook, "thaw", slow)
        await manager.start()
        assert await asyncio.to_thread(reading.wait, 60)
        await until(lambda: manager.raft._engine._applied >= len(COMMANDS))
        await asyncio.sleep(0)
        assert (manager.raft.applied, manager.notebook.commands) == (0, [])
        assert not manager.leadership.is_leader
        go_on.set()
        await until(lambda: manager.leadership.is_leader)
        assert manager.notebook.commands == COMMANDS
