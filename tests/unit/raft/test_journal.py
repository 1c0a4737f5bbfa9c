"""The log on disk: what a crash may take, what damage is refused, and with which words (S8)."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import FailedPrecondition
from core.ids import new_id
from raft import codec
from raft.messages import FIRST, NOOP, Entry
from raft.storage import state as storage
from raft.storage.errors import DamagedState, ForeignState, StorageFailed
from raft.storage.frame import Damaged, Torn, frame, read_frames
from raft.storage.journal import Journal
from raft.storage.keys import create_keys
from tests.support.disks import Platter, lose_power
from tests.support.file_operations import Died, counted

CLUSTER, NODE = new_id(), new_id()


def entry(index: int, term: int = 1, size: int = 20) -> Entry:
    return Entry(codec.encode_proposal(b"%d" % index, b"x" * size), index, term)


def create(folder: Path) -> Journal:
    return storage.create(folder, CLUSTER, NODE, None).journal


def load(folder: Path) -> Journal:
    return storage.load(folder, CLUSTER, NODE).journal


def written(folder: Path, last: int) -> Path:
    """A journal with so many entries, each synced by itself; its one file."""
    journal = create(folder)
    for index in range(2, last + 1):
        journal.append(entry(index))
        journal.sync()
    journal.close()
    return max(folder.glob("*.wal"))


def test_S8_what_was_synced_is_read_back_and_nothing_else(tmp_path: Path) -> None:
    journal = create(tmp_path)
    journal.append(entry(2))
    journal.vote(7, NODE)
    journal.append(entry(3))
    journal.close()
    again = load(tmp_path)
    assert again.entries == [FIRST, entry(2)]
    assert (again.term, again.candidate) == (7, NODE)


def test_S8_what_a_killed_process_wrote_but_did_not_sync_is_synced_before_it_is_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, platter = tmp_path / "disk", Platter(tmp_path / "platter")
    folder = disk / "raft"
    disk.mkdir()
    platter.sync_all(disk)
    create(folder).close()
    platter.sync_all(folder)  # but not its name
    monkeypatch.setattr("os.fsync", platter.sync)
    journal = storage.load(folder, CLUSTER, NODE, platter.sync).journal
    journal.append(entry(2))
    monkeypatch.setattr(journal, "_sync", lambda descriptor: None)  # killed here: the system's memory still has it
    journal.sync()
    journal.close()
    again = storage.load(folder, CLUSTER, NODE, platter.sync).journal
    assert again.entries == [FIRST, entry(2)]
    again.close()
    platter.close()
    monkeypatch.undo()
    lose_power(disk, tmp_path / "platter")
    assert load(folder).entries == [FIRST, entry(2)]


def test_S8_truncation_and_compaction_are_read_back(tmp_path: Path) -> None:
    journal = create(tmp_path)
    for index in range(2, 10):
        journal.append(entry(index))
    journal.truncate(7)
    journal.append(entry(7, term=2))
    journal.sync()
    journal.compact(1)
    journal.close()
    assert load(tmp_path).entries == [FIRST, *map(entry, range(2, 7)), entry(7, term=2)]


def test_S8_old_segments_go_once_a_snapshot_covers_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raft.storage.journal.SEGMENT_BYTES", 2000)
    journal = create(tmp_path)
    journal.vote(3, NODE)
    for index in range(2, 60):
        journal.append(entry(index, size=200))
        journal.sync()
    before = len(list(tmp_path.glob("*.wal")))
    journal.compact(50)
    assert len(list(tmp_path.glob("*.wal"))) < before / 2
    assert (journal.entries[0], journal.at(49), journal.at(59)) == (entry(50, size=200), None, entry(59, size=200))
    assert journal.term == 3


@pytest.mark.parametrize("cut", [1, 5, 17, 60])
def test_S8_a_torn_tail_is_cut_away(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path, 5)
    os.truncate(path, path.stat().st_size - cut)
    again = load(tmp_path)
    assert again.entries == [FIRST, entry(2), entry(3), entry(4)]
    again.append(entry(5, term=2))
    again.sync()
    again.close()
    assert load(tmp_path).entries[-1] == entry(5, term=2)


def test_S8_a_tail_that_never_reached_the_disk_is_cut_away(tmp_path: Path) -> None:
    path = written(tmp_path, 3)
    size = path.stat().st_size
    journal = load(tmp_path)
    journal.append(entry(4, size=5000))
    journal.sync()
    journal.close()
    last = max(tmp_path.glob("*.wal"))
    data = bytearray(last.read_bytes())
    data[1024:1536] = bytes(512)
    last.write_bytes(data)
    assert load(tmp_path).entries == [FIRST, entry(2), entry(3)]
    assert path.stat().st_size == size


@pytest.mark.parametrize("where", [0.2, 0.5, 0.8, 0.99])
def test_S8_a_flipped_bit_is_refused_with_the_repair(tmp_path: Path, where: float) -> None:
    path = written(tmp_path, 9)
    data = bytearray(path.read_bytes())
    data[int(len(data) * where)] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(DamagedState) as refusal:
        load(tmp_path)
    message = refusal.value.message
    assert message.startswith(f"{path}: ")
    assert "This manager does not start with it" in message
    assert f"`pyswarm node demote {NODE}`" in message
    assert f"`pyswarm node promote {NODE}`" in message
    assert path.read_bytes() == data


def test_S8_a_missing_segment_is_refused(tmp_path: Path) -> None:
    written(tmp_path, 3)
    for _ in range(3):
        load(tmp_path).close()
    sorted(tmp_path.glob("*.wal"))[1].unlink()
    with pytest.raises(DamagedState, match="number 2, is missing"):
        load(tmp_path)


def test_S8_a_segment_whose_creation_was_cut_short_is_begun_anew(tmp_path: Path) -> None:
    written(tmp_path, 3)
    unfinished = tmp_path / "segment.new"
    unfinished.write_bytes(b"\xf7PS")
    assert load(tmp_path).entries == [FIRST, entry(2), entry(3)]
    assert not unfinished.exists()


@pytest.mark.parametrize("left", [0, 3, 40])
def test_S8_a_segment_without_its_header_is_refused(tmp_path: Path, left: int) -> None:
    path = written(tmp_path, 3)
    os.truncate(path, left)
    with pytest.raises(DamagedState, match=r"the file is empty|the file's header is damaged"):
        load(tmp_path)


def test_S8_whole_records_missing_from_an_older_segment_are_noticed(tmp_path: Path) -> None:
    """Where only a vote is lost, entries and their indexes look whole."""
    journal = create(tmp_path)
    journal.append(entry(2))
    journal.sync()
    size = max(tmp_path.glob("*.wal")).stat().st_size
    journal.vote(7, NODE)
    journal.close()
    older = max(tmp_path.glob("*.wal"))
    load(tmp_path).close()
    os.truncate(older, size)
    with pytest.raises(DamagedState, match=rf"{older.name}: the file ends early: it has 2 of 3 records at byte {size}"):
        load(tmp_path)


def test_S8_what_a_crash_tore_off_is_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, 3)
    os.truncate(path, path.stat().st_size - 9)
    load(tmp_path).close()
    said = "".join(capsys.readouterr())
    assert "a crash tore the end of the log" in said
    assert str(path) in said


def test_S8_more_than_one_frame_may_hold_is_written_in_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raft.storage.journal._BATCH_BYTES", 500)
    journal = create(tmp_path)
    entries = [entry(index, size=200) for index in range(2, 12)]
    for one in entries:
        journal.append(one)
    journal.sync()
    journal.close()
    assert load(tmp_path).entries == [FIRST, *entries]


def test_a_folder_of_another_cluster_or_node_is_refused(tmp_path: Path) -> None:
    written(tmp_path, 3)
    other = new_id()
    with pytest.raises(ForeignState, match=f"holds the log of cluster {CLUSTER}, but this is cluster {other}"):
        storage.load(tmp_path, other, NODE)
    with pytest.raises(ForeignState, match=f"holds the log of node {NODE}, but this is node {other}"):
        storage.load(tmp_path, CLUSTER, other)


def test_RFT_08_nothing_can_be_read_without_the_data_key(tmp_path: Path) -> None:
    state = storage.create(tmp_path, CLUSTER, NODE, None)
    state.journal.append(Entry(codec.encode_proposal(b"id", b"the secret itself"), 2, 0))
    state.journal.sync()
    state.journal.close()
    files = list(tmp_path.iterdir())
    assert all(b"the secret" not in path.read_bytes() for path in files)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    key = tmp_path / "data-key"
    create_keys(tmp_path)
    with pytest.raises(FailedPrecondition, match=r"sealed with a data key that .* does not hold"):
        load(tmp_path)
    key.unlink()
    with pytest.raises(FailedPrecondition, match=r"data-key: it is missing, and without it the log cannot be read"):
        load(tmp_path)


def test_S8_a_full_disk_stops_the_member_with_a_clear_message(tmp_path: Path) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    create(tmp_path).close()
    journal = storage.load(tmp_path, CLUSTER, NODE).journal
    journal._sync = full
    journal.append(entry(2))
    for _ in range(2):
        with pytest.raises(StorageFailed, match=r"cannot write .*No space left on device.*make room"):
            journal.sync()


def test_frames_tell_torn_from_damaged() -> None:
    whole = frame(b"one") + frame(b"two" * 300)
    assert [payload for _, payload in read_frames(whole)] == [b"one", b"two" * 300]
    for length in range(len(frame(b"one")) + 1, len(whole)):
        with pytest.raises(Torn) as torn:
            list(read_frames(whole[:length]))
        assert torn.value.offset == len(frame(b"one"))
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 0x20
        with pytest.raises(Damaged):
            list(read_frames(bytes(flipped)))


def test_an_empty_command_is_a_leaders_first_entry() -> None:
    assert codec.decode_entry(codec.encode_entry(Entry(NOOP, 4, 2))) == Entry(NOOP, 4, 2)


def test_S8_what_was_synced_survives_a_power_loss_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through new segments, votes, a truncation and a compaction. What was not synced is gone, and so are its names."""
    monkeypatch.setattr("raft.storage.journal.SEGMENT_BYTES", 1000)
    steps = 0
    finished = False
    while not finished:
        steps += 1
        folder, record = tmp_path / f"{steps}", tmp_path / f"{steps}.record"
        state = storage.create(folder, CLUSTER, NODE, "10.0.0.1:2377", lambda descriptor: os.fdatasync(descriptor))
        journal, platter = state.journal, Platter(record)
        platter.sync_all(folder)
        promised, held = (0, ""), list(journal.entries)
        with counted(steps, platter), suppress(Died):
            for index in range(3, 14):
                if index % 5 == 0:
                    journal.vote(index, NODE)
                    promised = (index, NODE)
                if index == 10:
                    journal.truncate(8)
                    held = held[:7]
                    for again in (8, 9):
                        journal.append(entry(again, term=2, size=90))
                journal.append(entry(index, term=2, size=90))
                journal.sync()
                held = list(journal.entries)
            journal.compact(1)
            finished = True
        journal.close()
        platter.close()
        lose_power(folder, record)
        after = load(folder)
        assert after.entries[: len(held)] == held
        assert after.term >= promised[0]
        after.close()
    assert steps > 30
    assert len(list(folder.glob("*.wal"))) > 3
