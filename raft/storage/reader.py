"""Reads a journal's files without changing them, or says exactly why they cannot be read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import DecodeError

from core.errors import InvalidArgument
from proto import raft_pb2 as pb
from raft import codec
from raft.messages import Entry
from raft.storage.errors import DamagedState, reading
from raft.storage.file import FileBytes
from raft.storage.frame import Damaged, Torn, read_frames
from raft.storage.header import Owner, check_header, place, read_header
from raft.storage.journal import SUFFIX, Contents, Segment
from raft.storage.keys import KeyRing
from raft.storage.seal import DataKey, Unsealable


@dataclass(frozen=True, slots=True)
class Tear:
    """What a crash left at the end of the last file: never completely written, so never acknowledged."""

    path: Path
    offset: int


@dataclass(slots=True)
class Reading:
    """What the files of a journal add up to."""

    owner: Owner
    contents: Contents = field(default_factory=Contents)
    segments: list[Segment] = field(default_factory=list)
    tear: Tear | None = None


def owner_of(folder: Path) -> Owner:
    """Whose log lies there, by its last file. Raises DamagedState, UnreadableState, or FailedPrecondition for another
    format."""
    path = max(folder.glob(f"*{SUFFIX}"), default=folder / f"*{SUFFIX}")
    try:
        with reading(path):
            _, payload = next(read_frames(FileBytes(path)), (0, None))
    except (Torn, Damaged):
        payload = None
    if payload is None:
        raise DamagedState(path, 0, "the file's header is damaged")
    header = read_header(path, payload)
    return Owner(header.cluster_id, header.node_id, header.incarnation)


def read_journal(folder: Path, cluster_id: str, node_id: str, keys: KeyRing) -> Reading:
    """Raises ForeignState, DamagedState, UnreadableState, or FailedPrecondition for another format."""
    result = Reading(Owner(cluster_id, node_id, 0))
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    for path in paths:
        with reading(path):
            _SegmentReader(path, result, keys).read(last=path == paths[-1])
    if not result.contents.entries:
        raise DamagedState(folder / f"*{SUFFIX}", None, "the log holds no entry", node_id)
    return result


class _NotWritten(Exception):
    """Well sealed, and yet not what a journal writes."""


class _SegmentReader:
    def __init__(self, path: Path, result: Reading, keys: KeyRing) -> None:
        self._path = path
        self._result = result
        self._contents = result.contents
        self._keys = keys
        self._offset = 0

    def read(self, last: bool) -> None:
        """Adds what the file says to the result."""
        try:
            self._read_frames(read_frames(FileBytes(self._path)))
        except Torn as torn:
            if not last:
                raise self._damaged("the file ends early, and later files follow", torn.offset) from torn
            if not torn.offset:
                raise self._damaged("the file's header is damaged", 0) from torn
            self._result.tear = Tear(self._path, torn.offset)
        except Damaged as damaged:
            raise self._damaged("a record is damaged", damaged.offset) from damaged
        except (Unsealable, DecodeError, InvalidArgument, _NotWritten) as error:
            raise self._damaged("a record is not what was written there") from error

    def _read_frames(self, frames: Iterator[tuple[int, bytes]]) -> None:
        key, header = self._begin(next(frames, None))
        segment = self._result.segments[-1]
        for self._offset, payload in frames:
            batch = pb.RaftJournalBatch.FromString(key.open(payload, place(header.file_id, segment.frames)))
            if (segment.frames == 0) != (batch.records[:1] and batch.records[0].HasField("start")):
                raise _NotWritten
            for record in batch.records:
                self._replay(record)
            segment.last_index = max(segment.last_index, self._contents.last_index if self._contents.entries else 0)
            segment.frames += 1

    def _begin(self, first: tuple[int, bytes] | None) -> tuple[DataKey, pb.RaftFileHeader]:
        if first is None:
            raise DamagedState(self._path, None, "the file is empty", self._result.owner.node_id)
        owner, segments = self._result.owner, self._result.segments
        header = check_header(self._path, first[1], owner.cluster_id, owner.node_id)
        if segments and header.sequence != segments[-1].sequence + 1:
            what = f"the file before it, number {header.sequence - 1}, is missing"
            raise DamagedState(self._path, None, what, owner.node_id)
        self._result.owner = Owner(header.cluster_id, header.node_id, header.incarnation)
        segments.append(Segment(self._path, header.sequence, 0, 0))
        return self._keys.find(header.key_id, self._path), header

    def _replay(self, record: pb.RaftJournalRecord) -> None:
        contents = self._contents
        match record.WhichOneof("kind"):
            case "append":
                self._append(codec.decode_entry(record.append))
            case "truncate_from":
                contents.truncate(record.truncate_from)
            case "starts_at":
                contents.start_at(record.starts_at)
            case "vote":
                if record.vote.term < contents.term:
                    raise _NotWritten
                contents.term, contents.candidate = record.vote.term, record.vote.candidate
            case "start":
                self._follows(record.start)
            case _:
                raise _NotWritten

    def _append(self, entry: Entry) -> None:
        entries = self._contents.entries
        if entries and (entry.idx != entries[-1].idx + 1 or entry.term < entries[-1].term):
            raise _NotWritten
        entries.append(entry)

    def _follows(self, start: pb.RaftSegmentStart) -> None:
        """A file that lost whole records at its end looks whole; the next one knows how many there were."""
        before = self._result.segments[-2:-1]
        if before and before[0].frames != start.frames_before:
            what = f"the file ends early: it has {before[0].frames} of {start.frames_before} records"
            raise DamagedState(before[0].path, before[0].path.stat().st_size, what, self._result.owner.node_id)

    def _damaged(self, what: str, offset: int | None = None) -> DamagedState:
        at = self._offset if offset is None else offset
        return DamagedState(self._path, at, what, self._result.owner.node_id)
