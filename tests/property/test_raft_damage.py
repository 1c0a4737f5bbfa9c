"""Whatever happens to a file of the log's folder: it is noticed, or it looks as a crash may leave it.

Never anything else than a typed error, and never other entries than were written.
"""

import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import PyswarmError
from core.ids import new_id
from proto import raft_pb2 as pb
from raft import Timing, codec, inspect_log
from raft.messages import Entry
from raft.storage import state as storage
from raft.storage.errors import DamagedState
from raft.storage.frame import MAX_FRAME, Damaged, Torn, frame, read_frames
from raft.storage.header import new_header, place
from raft.storage.keys import load_keys
from raft.storage.seal import DataKey, Unsealable
from tests.support.lone_engine import LoneEngine, load
from tests.support.wire import messages

CLUSTER, NODE = new_id(), new_id()
KEY = bytes(range(32))


@dataclass(frozen=True)
class Held:
    """What a folder says of the log."""

    entries: tuple[Entry, ...]
    vote: tuple[int, str]
    snapshot: tuple[bytes, ...]


def held(folder: Path) -> Held:
    """Read whole, as a start does. Raises a typed error, or the test has found something."""
    state = load(folder, CLUSTER, NODE, KEY)
    try:
        chunks = () if state.snapshot is None else tuple(state.snapshot.chunks())
        journal = state.journal
        return Held(tuple(journal.entries), (journal.term, journal.candidate), chunks)
    finally:
        state.journal.close()


@pytest.fixture(scope="module", autouse=True)
def _unsynced() -> Iterator[None]:
    """What is tried here is damage, not a loss of power: it goes faster so."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, lambda _: None)
        yield


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several files of the log, a snapshot, a locked key file: everything that there can be."""
    folder = tmp_path_factory.mktemp("log")
    storage.create(folder, CLUSTER, NODE, "10.0.0.1:2377", unlock_key=KEY).journal.close()
    timing = Timing(snapshot_entries=1000, keep_entries=6)
    for count in (7, 4, 3):
        member = LoneEngine(load(folder, CLUSTER, NODE, KEY), timing)
        member.write(count, size=60)
        if count == 7:
            member.rotate()
        member.state.journal.vote(member.state.journal.term + 2, NODE)
        member.close()
    assert len(list(folder.glob("*.wal"))) >= 3
    return folder


@contextmanager
def copied(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(shutil.copytree(folder, Path(temporary) / "raft"))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files(folder)}


@settings(max_examples=300)
@given(st.data())
def test_S8_any_flipped_bit_is_refused_and_left_as_it_is(written: Path, data: st.DataObject) -> None:
    with copied(written) as folder:
        path = data.draw(st.sampled_from(files(folder)))
        harmed = bytearray(path.read_bytes())
        bit = data.draw(st.integers(0, 8 * len(harmed) - 1))
        harmed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(harmed)
        before = contents(folder)
        with pytest.raises(PyswarmError) as checked:
            inspect_log(folder, KEY)
        assert path.name in checked.value.message
        assert contents(folder) == before
        with pytest.raises(PyswarmError):
            held(folder)


@settings(max_examples=200)
@given(st.data())
def test_S8_any_truncation_is_refused_or_loses_only_the_end(written: Path, data: st.DataObject) -> None:
    with copied(written) as folder:
        whole = held(folder)
        path = data.draw(st.sampled_from(files(folder)))
        size = data.draw(st.integers(0, path.stat().st_size - 1))
        path.write_bytes(path.read_bytes()[:size])
        last = path == max(folder.glob("*.wal"))
        try:
            left = held(folder)
        except DamagedState:
            return
        assert last
        assert left.entries == whole.entries[: len(left.entries)]
        assert left.snapshot == whole.snapshot
        assert left.vote[0] <= whole.vote[0]


harms = st.one_of(
    st.tuples(st.just("cut out"), st.integers(0, 4000), st.integers(1, 600)),
    st.tuples(st.just("zeroed"), st.integers(0, 4000), st.integers(1, 600)),
    st.tuples(st.just("repeated"), st.integers(0, 4000), st.integers(1, 600)),
    st.tuples(st.just("replaced"), st.integers(0, 4000), st.binary(min_size=1, max_size=100)),
    st.tuples(st.just("appended"), st.just(0), st.binary(min_size=1, max_size=100)),
)


def harmed(data: bytes, harm: tuple[str, int, int | bytes]) -> bytes:
    what, at, with_ = harm
    match what, with_:
        case "cut out", int():
            return data[:at] + data[at + with_ :]
        case "zeroed", int():
            return data[:at] + bytes(min(with_, max(0, len(data) - at))) + data[at + with_ :]
        case "repeated", int():
            return data[:at] + data[at : at + with_] * 2 + data[at + with_ :]
        case "appended", bytes():
            return data + with_
        case _, bytes():
            return data[:at] + with_ + data[at + len(with_) :]
    raise AssertionError(harm)


@settings(max_examples=200)
@given(st.data(), st.lists(harms, min_size=1, max_size=3))
def test_S8_worse_damage_never_gives_other_entries(
    written: Path, data: st.DataObject, done: list[tuple[str, int, int | bytes]]
) -> None:
    """Of the end of the last file a crash may leave anything: it is cut away. All else is refused."""
    with copied(written) as folder:
        whole = held(folder)
        for harm in done:
            path = data.draw(st.sampled_from(files(folder)))
            path.write_bytes(harmed(path.read_bytes(), harm))
        try:
            left = held(folder)
        except PyswarmError:
            return
        assert left.entries == whole.entries[: len(left.entries)]
        assert left.snapshot == whole.snapshot


@settings(max_examples=200)
@given(st.data())
def test_S8_files_that_change_places_are_refused(written: Path, data: st.DataObject) -> None:
    with copied(written) as folder:
        one, other = data.draw(st.permutations(files(folder)))[:2]
        one.rename(folder / "between")
        other.rename(one)
        (folder / "between").rename(other)
        with pytest.raises(PyswarmError):
            held(folder)


@settings(max_examples=300)
@given(st.sampled_from(["0000000000000009.wal", "snapshot", "data-key"]), st.binary(max_size=2000), st.booleans())
def test_S8_any_bytes_for_a_file_give_a_typed_error(written: Path, name: str, junk: bytes, framed: bool) -> None:
    with copied(written) as folder:
        (folder / name).write_bytes(frame(junk) if framed else junk)
        with pytest.raises(PyswarmError):
            held(folder)


def sealed_file(folder: Path, name: str, parts: list[bytes], sequence: int) -> None:
    """A file that bears the right seals, and yet may hold what no member writes."""
    key = load_keys(folder, KEY).current
    owner = storage.read(folder, CLUSTER, NODE, load_keys(folder, KEY))[0].owner
    header = new_header(owner, key, sequence)
    sealed = [frame(key.seal(part, place(header.file_id, number))) for number, part in enumerate(parts)]
    (folder / name).write_bytes(b"".join([frame(header.SerializeToString()), *sealed]))


@settings(max_examples=300)
@given(st.lists(messages(pb.RaftJournalBatch).map(lambda batch: batch.SerializeToString()) | st.binary(), max_size=4))
def test_S8_any_records_under_the_right_seal_are_read_or_refused(written: Path, parts: list[bytes]) -> None:
    with copied(written) as folder:
        last = int(max(folder.glob("*.wal")).stem) + 1
        sealed_file(folder, f"{last:016d}.wal", parts, last)
        try:
            found = held(folder).entries
        except PyswarmError:
            return
        assert [entry.idx for entry in found] == list(range(found[0].idx, found[0].idx + len(found)))


@settings(max_examples=300)
@given(st.lists(messages(pb.RaftSnapshotPart).map(lambda part: part.SerializeToString()) | st.binary(), max_size=4))
def test_S9_any_parts_of_a_snapshot_under_the_right_seal_are_read_or_refused(written: Path, parts: list[bytes]) -> None:
    with copied(written) as folder:
        sealed_file(folder, "snapshot", parts, 0)
        try:
            held(folder)
        except PyswarmError:
            return
        state = pb.RaftSnapshotPart.FromString(parts[0]).state
        assert codec.decode_entry(state.entry).idx >= 2


@given(st.binary(max_size=1200))
def test_frames_of_any_bytes_end_with_a_verdict(data: bytes) -> None:
    whole = b""
    offset = len(data)
    try:
        for _, payload in read_frames(data):
            whole += frame(payload)
    except (Torn, Damaged) as verdict:
        offset = verdict.offset
    assert whole == data[:offset]


@given(st.integers(MAX_FRAME + 1, (1 << 32) - 1))
def test_a_frame_that_claims_to_be_longer_than_any_is_not_read(length: int) -> None:
    head = struct.pack("<4sII", b"\xf7PSJ", length, 0)
    with pytest.raises((Torn, Damaged)):
        list(read_frames(head + struct.pack("<I", zlib.crc32(head)) + b"\1" * 100))


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_seal_opens_only_in_its_place_and_with_its_key(plain: bytes, where: bytes) -> None:
    key = DataKey(KEY)
    sealed = key.seal(plain, where)
    assert key.open(sealed, where) == plain
    for opening in (lambda: key.open(sealed, where + b"x"), lambda: DataKey(bytes(32)).open(sealed, where)):
        with pytest.raises(Unsealable):
            opening()
