"""The log on disk: append-only segments, one synced frame for everything a turn wrote.

What is held in memory is what the disk holds plus what `sync` will write next; nothing may be acknowledged before
`sync`. A write that fails raises StorageFailed, and the journal takes no more: the member stops.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.files import create_private_file, move_file, sync_folder, write_all
from proto import raft_pb2 as pb
from raft import codec
from raft.messages import Entry
from raft.storage.errors import StorageFailed
from raft.storage.frame import MAX_FRAME, frame
from raft.storage.header import Owner, new_header, place
from raft.storage.seal import DataKey

SEGMENT_BYTES = 16 << 20
SUFFIX = ".wal"
UNFINISHED = "segment.new"
_BATCH_BYTES = MAX_FRAME // 4
"""What waits for `sync` beyond this is written and synced at once, so that a frame has room for it."""
_CLOSED = -1

Sync = Callable[[int], None]


@dataclass(slots=True)
class Contents:
    """What the records of a journal add up to."""

    entries: list[Entry] = field(default_factory=list)
    term: int = 0
    candidate: str = ""
    """Whom this member voted for in `term`, if anyone."""

    @property
    def first_index(self) -> int:
        return self.entries[0].idx

    @property
    def last_index(self) -> int:
        return self.entries[-1].idx

    def truncate(self, index: int) -> None:
        if self.entries:
            del self.entries[max(0, index - self.first_index) :]

    def start_at(self, index: int) -> None:
        if self.entries:
            del self.entries[: max(0, index - self.first_index)]


@dataclass(slots=True)
class Segment:
    path: Path
    sequence: int
    last_index: int
    """No entry in it is later."""
    frames: int
    """Sealed ones."""


class Journal:
    """Opened by raft.storage.loader."""

    def __init__(
        self,
        owner: Owner,
        contents: Contents,
        segments: list[Segment],
        folder: Path,
        key: DataKey,
        sync: Sync = os.fdatasync,
    ) -> None:
        self.owner = owner
        self.entries = contents.entries
        self._contents = contents
        self._folder = folder
        self._key = key
        self._sync = sync
        self._closed = segments
        self._pending = pb.RaftJournalBatch()
        self._pending_bytes = 0
        self._failed: StorageFailed | None = None
        self._descriptor = _CLOSED
        self.bytes_held = sum(len(entry.command) for entry in self.entries)
        self._begin_segment(segments[-1] if segments else None)

    @property
    def term(self) -> int:
        return self._contents.term

    @property
    def candidate(self) -> str:
        return self._contents.candidate

    def at(self, index: int) -> Entry | None:
        position = index - self.entries[0].idx if self.entries else -1
        return self.entries[position] if 0 <= position < len(self.entries) else None

    # -- changes: in memory at once, on disk after `sync`

    def append(self, entry: Entry) -> None:
        assert not self.entries or entry.idx == self.entries[-1].idx + 1
        self.entries.append(entry)
        self.bytes_held += len(entry.command)
        record = self._pending.records.add(append=codec.encode_entry(entry))
        self._pending_bytes += record.ByteSize()
        if self._pending_bytes > _BATCH_BYTES:
            self.sync()

    def truncate(self, index: int) -> None:
        """Takes away the entry `index` and all after it."""
        self._contents.truncate(index)
        self.bytes_held = sum(len(entry.command) for entry in self.entries)
        self._pending.records.add(truncate_from=index)

    def compact(self, index: int) -> None:
        """Takes away all entries before `index`: a snapshot, already on disk, covers them."""
        self._contents.start_at(index)
        self.bytes_held = sum(len(entry.command) for entry in self.entries)
        self._pending.records.add(starts_at=index)
        self.sync()
        kept = next((segment for segment in self._closed if segment.last_index >= index), self._segment)
        self._drop_segments(kept.sequence)

    def restart(self, entries: list[Entry]) -> None:
        """Replaces the whole log."""
        self.truncate(0)
        for entry in entries:
            self.append(entry)

    def vote(self, term: int, candidate: str) -> None:
        """On disk when it returns: a vote is given once."""
        self._contents.term, self._contents.candidate = term, candidate
        self._pending.records.add(vote=pb.RaftVote(term=term, candidate=candidate))
        self.sync()

    def sync(self) -> None:
        """Everything so far is on disk when it returns. Raises StorageFailed."""
        if self._failed is not None:
            raise self._failed
        if not self._pending.records:
            return
        if self._size > SEGMENT_BYTES:
            self._next_segment()
        try:
            self._write(self._pending)
            self._sync(self._descriptor)
        except OSError as error:
            raise self._fail(error) from error
        self._pending, self._pending_bytes = pb.RaftJournalBatch(), 0
        self._segment.last_index = max(self._segment.last_index, self._last_index)

    def reseal(self, key: DataKey) -> None:
        """Writes all that is held anew, sealed with `key`; nothing that was sealed before is left.

        Takes as long as the disk needs for all that is held. Raises StorageFailed.
        """
        self.sync()
        self._key = key
        self._next_segment(self._everything())
        self._drop_segments(self._segment.sequence)

    def hand_to(self, owner: Owner, batches: Iterable[pb.RaftJournalBatch]) -> None:
        """Begins a file of another owner, whole with `batches` or not at all. What is held in memory is not changed."""
        self.owner = owner
        self._next_segment(batches)

    def close(self) -> None:
        """Without `sync`: what was not synced was promised to nobody."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            os.close(descriptor)

    # -- segments

    @property
    def _last_index(self) -> int:
        return self.entries[-1].idx if self.entries else 0

    def _next_segment(self, contents: Iterable[pb.RaftJournalBatch] = ()) -> None:
        self.close()
        self._closed.append(self._segment)
        self._begin_segment(self._segment, contents)

    def _begin_segment(self, before: Segment | None, contents: Iterable[pb.RaftJournalBatch] = ()) -> None:
        """Atomic: after a crash the file is there with all of `contents`, or not at all."""
        sequence = 1 if before is None else before.sequence + 1
        path = self._folder / f"{sequence:016d}{SUFFIX}"
        header = new_header(self.owner, self._key, sequence)
        self._segment = Segment(path, sequence, self._last_index, 0)
        self._file_id = header.file_id
        self._size = 0
        first = pb.RaftJournalBatch()
        first.records.add(start=pb.RaftSegmentStart(frames_before=0 if before is None else before.frames))
        # Older segments go away one day, and with them what they say of the term.
        first.records.add(vote=pb.RaftVote(term=self.term, candidate=self.candidate))
        try:
            unfinished = self._folder / UNFINISHED
            self._descriptor = create_private_file(unfinished)
            write_all(self._descriptor, frame(header.SerializeToString()))
            for batch in (first, *contents):
                self._write(batch)
            self._sync(self._descriptor)
            move_file(unfinished, path)
        except OSError as error:
            raise self._fail(error) from error

    def _everything(self) -> Iterator[pb.RaftJournalBatch]:
        batch = pb.RaftJournalBatch()
        batch.records.add(truncate_from=0)
        size = 0
        for entry in self.entries:
            record = batch.records.add(append=codec.encode_entry(entry))
            size += record.ByteSize()
            if size > _BATCH_BYTES:
                yield batch
                batch, size = pb.RaftJournalBatch(), 0
        yield batch

    def _drop_segments(self, sequence: int) -> None:
        """All before that one, the oldest first: after a crash what is left still follows each other."""
        try:
            while self._closed and self._closed[0].sequence < sequence:
                self._closed.pop(0).path.unlink()
                sync_folder(self._folder)
        except OSError as error:
            raise self._fail(error) from error

    def _write(self, batch: pb.RaftJournalBatch) -> None:
        data = self._seal(batch.SerializeToString())
        write_all(self._descriptor, data)
        self._size += len(data)

    def _seal(self, payload: bytes) -> bytes:
        sealed = self._key.seal(payload, place(self._file_id, self._segment.frames))
        self._segment.frames += 1
        return frame(sealed)

    def _fail(self, error: OSError) -> StorageFailed:
        self._failed = StorageFailed(self._segment.path, error)
        return self._failed
