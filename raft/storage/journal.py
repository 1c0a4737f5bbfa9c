"""The log on disk: append-only segments, one synced frame for everything a turn wrote.

What is held in memory is what the disk holds plus what `sync` will write next; nothing may be acknowledged before
`sync`. A write that fails raises StorageFailed, and the journal takes no more: the member stops.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from proto import raft_pb2 as pb
from raft import codec
from raft.messages import Entry
from raft.storage.errors import StorageFailed
from raft.storage.files import create_private, sync_folder, write_all
from raft.storage.frame import frame
from raft.storage.header import Owner, new_header, place
from raft.storage.seal import DataKey

SEGMENT_BYTES = 16 << 20
SUFFIX = ".wal"

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
        self._failed: StorageFailed | None = None
        self.bytes_held = sum(len(entry.command) for entry in self.entries)
        self._begin_segment(segments[-1].sequence + 1 if segments else 1)

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
        self._pending.records.add(append=codec.encode_entry(entry))

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
        self._drop_segments(index)

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
        if not self._pending.records:
            return
        if self._failed is not None:
            raise self._failed
        if self._size > SEGMENT_BYTES:
            self._end_segment()
        self._write(self._seal(self._pending.SerializeToString()))
        self._pending = pb.RaftJournalBatch()
        self._segment.last_index = max(self._segment.last_index, self.entries[-1].idx if self.entries else 0)

    def close(self) -> None:
        """Without `sync`: what was not synced was promised to nobody."""
        os.close(self._descriptor)

    # -- segments

    def _begin_segment(self, sequence: int) -> None:
        path = self._folder / f"{sequence:016d}{SUFFIX}"
        header = new_header(self.owner, self._key, sequence)
        self._segment = Segment(path, sequence, self.entries[-1].idx if self.entries else 0)
        self._file_id = header.file_id
        self._ordinal = 0
        self._size = 0
        # Older segments go away one day, and with them what they say of the term.
        state = pb.RaftJournalBatch()
        state.records.add(vote=pb.RaftVote(term=self.term, candidate=self.candidate))
        try:
            self._descriptor = create_private(path)
        except OSError as error:
            raise self._fail(error) from error
        self._write(frame(header.SerializeToString()) + self._seal(state.SerializeToString()))
        try:
            sync_folder(self._folder)
        except OSError as error:
            raise self._fail(error) from error

    def _end_segment(self) -> None:
        os.close(self._descriptor)
        self._closed.append(self._segment)
        self._begin_segment(self._segment.sequence + 1)

    def _drop_segments(self, index: int) -> None:
        while self._closed and self._closed[0].last_index < index:
            self._closed.pop(0).path.unlink()

    def _seal(self, payload: bytes) -> bytes:
        sealed = self._key.seal(payload, place(self._file_id, self._ordinal))
        self._ordinal += 1
        return frame(sealed)

    def _write(self, data: bytes) -> None:
        try:
            write_all(self._descriptor, data)
            self._sync(self._descriptor)
        except OSError as error:
            raise self._fail(error) from error
        self._size += len(data)

    def _fail(self, error: OSError) -> StorageFailed:
        self._failed = StorageFailed(self._segment.path, error)
        return self._failed
