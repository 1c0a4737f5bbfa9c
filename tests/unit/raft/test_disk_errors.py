"""A disk that refuses: whatever operation fails, the member stops and says why, and what it promised is there."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import Unavailable
from core.ids import new_id
from proto import raft_pb2 as pb
from raft import Timing
from raft.storage import state as storage
from raft.storage.errors import StorageFailed, UnreadableState
from raft.storage.inspection import inspect_log
from raft.storage.journal import Journal
from raft.storage.keys import load_keys
from raft.storage.reader import read_journal
from raft.storage.seal import DataKey
from raft.storage.snapshot import Snapshot, SnapshotWriter
from raft.transport.snapshots import receive_snapshot
from tests.support.file_operations import SECTOR, bad_sector, counted
from tests.support.lone_engine import LoneEngine, load
from tests.support.managers import until
from tests.unit.raft.test_journal import entry

CLUSTER, NODE = new_id(), new_id()
TIMING = Timing(snapshot_entries=1000, keep_entries=4)
ERRORS = [errno.ENOSPC, errno.EIO]
CHUNKS = [b"x" * 700, b"y" * 900]


def failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", ERRORS, ids=["disk full", "input/output error"])
def test_S8_whatever_the_journal_is_refused_it_takes_no_more(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes, syncs, new segments with their renames and folder syncs, and deletions of old ones."""
    monkeypatch.setattr("raft.storage.journal.SEGMENT_BYTES", 1000)
    failed: set[str] = set()
    step = 0
    finished = False
    while not finished:
        step += 1
        folder = tmp_path / f"{step}"
        storage.create(folder, CLUSTER, NODE, None).journal.close()
        journal = load(folder, CLUSTER, NODE).journal
        promised, term = list(journal.entries), 0
        with counted(step, error=failure(number)) as operations:
            try:
                for index in range(2, 14):
                    if index % 4 == 0:
                        journal.vote(index, NODE)
                        term = index
                    journal.append(entry(index, size=90))
                    journal.sync()
                    promised = list(journal.entries)
                journal.compact(9)
                finished = True
            except StorageFailed as error:
                failed.add(operations.done[-1])
                refuses_everything(journal, error.message, number)
        journal.close()
        again = read_journal(folder, CLUSTER, NODE, load_keys(folder)).contents
        assert again.entries[: len(promised)] == promised or again.entries == promised[8:]
        assert again.term >= term
    assert failed == {"write", "fsync", "fdatasync", "replace", "unlink"}


def refuses_everything(journal: Journal, message: str, number: int) -> None:
    """Although the disk would take it again: a sync that failed may have dropped anything."""
    assert message.startswith(f"cannot write {journal._folder}")
    assert os.strerror(number) in message
    before = {path: path.read_bytes() for path in journal._folder.iterdir()}
    with pytest.raises(StorageFailed):
        journal.sync()
    with pytest.raises(StorageFailed):
        journal.vote(99, NODE)
    assert {path: path.read_bytes() for path in journal._folder.iterdir()} == before


@pytest.mark.parametrize("number", ERRORS, ids=["disk full", "input/output error"])
def test_S8_whatever_a_rotation_of_the_key_is_refused_the_log_can_be_read(tmp_path: Path, number: int) -> None:
    """A snapshot that cannot be written is tried again; all else stops the member."""
    member = LoneEngine(storage.create(tmp_path / "0", CLUSTER, NODE, "10.0.0.1:2377"), TIMING)
    member.write(9)
    member.close()
    ends: set[str] = set()
    step = 0
    while ends != {"stopped", "tried again", "undisturbed"} or step < 30:
        step += 1
        folder = tmp_path / f"{step}"
        shutil.copytree(tmp_path / "0", folder)
        member = LoneEngine(load(folder, CLUSTER, NODE), TIMING)
        with counted(step, error=failure(number)) as operations:
            try:
                member.rotate()
            except StorageFailed:
                ends.add("stopped")
            else:
                ends.add("undisturbed" if len(operations.done) < step else "tried again")
        member.close()
        again = LoneEngine(load(folder, CLUSTER, NODE), TIMING)
        again.turn_until(lambda again=again: not again.state.keys.rotating)  # type: ignore[misc]
        assert again.notebook.commands == member.notebook.commands
        again.close()


async def test_S9_a_snapshot_that_finds_no_room_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    state = storage.create(tmp_path / "raft", CLUSTER, NODE, None)
    state.journal.close()
    owner = state.owner
    first = pb.RaftSnapshotState(entry=pb.RaftEntry(index=9, term=1), members=[])
    sent = [pb.RaftSnapshotPart(term=1, state=first), pb.RaftSnapshotPart(chunk=b"x"), pb.RaftSnapshotPart(end=1)]

    async def parts():  # type: ignore[no-untyped-def]
        for part in sent:
            yield part

    path = tmp_path / "snapshot.1"
    refused: list[str] = []
    for step in range(1, 6):
        with (
            counted(step, error=failure(errno.ENOSPC)) as operations,
            pytest.raises(Unavailable, match=f"cannot be written to {path}: No space left on device"),
        ):
            await receive_snapshot(parts(), path, owner, DataKey(bytes(32)))
        refused.append(operations.done[step - 1])
        await until(lambda: not path.exists())
    assert refused == ["unlink", "write", "write", "write", "fsync"]
    assert await receive_snapshot(parts(), path, owner, DataKey(bytes(32))) == 1


def test_S8_a_log_that_cannot_be_read_says_which_file_and_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad sector, wherever it is: never a signal that ends the process."""
    folder = tmp_path / "raft"
    journal = storage.create(folder, CLUSTER, NODE, None).journal
    for index in range(2, 6):
        journal.append(entry(index, size=300))
        journal.sync()
    journal.close()
    path = max(folder.glob("*.wal"), key=lambda file: file.stat().st_size)
    for bad in range(0, path.stat().st_size, SECTOR):
        with monkeypatch.context() as patched:
            patched.setattr(os, "pread", bad_sector(path, bad))
            expected = f"cannot read {path}: Input/output error at byte {bad}. This manager does not start without it"
            for read in (lambda: storage.load(folder, CLUSTER, NODE), lambda: inspect_log(folder)):
                with pytest.raises(UnreadableState) as refused:
                    read()
                assert refused.value.message == expected


def test_S8_a_snapshot_that_cannot_be_read_says_which_file_and_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that was opened before."""
    path, opened = written_snapshot(tmp_path)
    for bad in range(0, path.stat().st_size, SECTOR):
        with monkeypatch.context() as patched:
            patched.setattr(os, "pread", bad_sector(path, bad))
            for read in (lambda: opened, lambda: Snapshot(path, CLUSTER, NODE, load_keys(path.parent))):
                with pytest.raises(UnreadableState, match=f"cannot read {path}: Input/output error at byte {bad}"):
                    list(read().chunks())
    assert list(opened.chunks()) == CHUNKS


def test_S8_a_file_that_becomes_shorter_while_it_is_read_says_so(tmp_path: Path) -> None:
    path, opened = written_snapshot(tmp_path)
    size = path.stat().st_size
    for length in range(size - 1, -1, -SECTOR):
        os.truncate(path, length)
        with pytest.raises(
            UnreadableState, match=f"{path}: the file became shorter while it was read, at byte {length}"
        ):
            list(opened.chunks())


def written_snapshot(folder: Path) -> tuple[Path, Snapshot]:
    state = storage.create(folder / "raft", CLUSTER, NODE, None)
    state.journal.close()
    beside = pb.RaftSnapshotState(entry=pb.RaftEntry(index=9, term=1))
    writer = SnapshotWriter(state.snapshot_path, state.owner, state.keys.current, beside)
    for chunk in CHUNKS:
        writer.write(chunk)
    writer.finish()
    return state.snapshot_path, state.open_snapshot()


@pytest.mark.parametrize("number", ERRORS, ids=["disk full", "input/output error"])
def test_S8_a_log_that_cannot_be_created_is_not_there_at_all(tmp_path: Path, number: int) -> None:
    step = 0
    created = False
    while not created:
        step += 1
        folder = tmp_path / f"{step}"
        with counted(step, error=failure(number)), suppress(StorageFailed):
            storage.create(folder, CLUSTER, NODE, None).journal.close()
            created = True
        if not storage.exists(folder):
            storage.create(folder, CLUSTER, NODE, None).journal.close()
        storage.load(folder, CLUSTER, NODE).journal.close()
    assert step > 10
