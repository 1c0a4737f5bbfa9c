"""A whole state on its way from one member's disk to another's."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.ids import new_id
from proto import raft_pb2 as pb
from raft.storage.header import Owner
from raft.storage.seal import DataKey
from raft.storage.snapshot import SnapshotWriter
from raft.transport.snapshots import receive_snapshot
from tests.support.managers import Manager, cluster, until
from tests.unit.raft.test_cluster import SMALL, everywhere, written


async def test_S9_a_damaged_snapshot_is_not_taken_and_the_next_one_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with cluster(tmp_path, 1, SMALL) as made:
        (manager,) = made.managers
        path = manager.folder / "snapshot"
        for number in range(30):
            await written(made, b"%d" % number)
        await until(path.exists)
        data = bytearray(path.read_bytes())
        data[-200] ^= 1
        path.write_bytes(data)
        joining = Manager(made.authority, tmp_path, SMALL)
        await joining.start()
        made.managers.append(joining)
        joined = asyncio.create_task(joining.raft.join(manager.addr))
        said = ""

        def told() -> bool:
            nonlocal said
            said += "".join(capsys.readouterr())
            return "a snapshot cannot be sent" in said

        await until(told)
        assert f"{path}: the snapshot is damaged" in said
        assert not joined.done()
        for number in range(30, 60):
            await written(made, b"%d" % number, joining)
        await joined
        await everywhere([joining], b"59")
        assert joining.notebook.commands == manager.notebook.commands


@pytest.mark.parametrize("step", ["__init__", "write", "finish"])
async def test_a_snapshot_whose_sender_goes_away_leaves_neither_file_nor_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Although a thread is just writing it."""
    reached, go_on, done = threading.Event(), threading.Event(), threading.Event()
    real = getattr(SnapshotWriter, step)

    def slowly(writer: SnapshotWriter, *args: object) -> None:
        reached.set()
        go_on.wait(10)
        try:
            real(writer, *args)
        finally:
            done.set()

    async def parts() -> AsyncIterator[pb.RaftSnapshotPart]:
        yield pb.RaftSnapshotPart(term=1, state=pb.RaftSnapshotState(entry=pb.RaftEntry(index=9, term=1)))
        yield pb.RaftSnapshotPart(chunk=b"x")
        yield pb.RaftSnapshotPart(end=1)

    monkeypatch.setattr(SnapshotWriter, step, slowly)
    path = tmp_path / "snapshot.1"
    owner = Owner(new_id(), new_id(), 1)
    receiving = asyncio.create_task(receive_snapshot(parts(), path, owner, DataKey(bytes(32))))
    await until(reached.is_set)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    go_on.set()
    await until(done.is_set)
    await until(lambda: str(path) not in opened() and not path.exists())


def opened() -> set[str]:
    """The files this process has open, also those that are deleted."""
    found: set[str] = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.add(os.readlink(descriptor).removesuffix(" (deleted)"))
        except FileNotFoundError:  # that of the folder itself
            continue
    return found
