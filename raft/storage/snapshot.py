"""The snapshot file: a header in clear, then sealed frames: the state beside the machine's, its chunks, an end mark.

A file without its end mark, or whose parts do not follow each other, is refused whole (S9).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from google.protobuf.message import DecodeError

from core.errors import InvalidArgument
from core.files import create_private_file, move_file, write_all
from proto import raft_pb2 as pb
from raft import codec
from raft.api import MAX_CHUNK, MAX_REQUEST_ID
from raft.storage.errors import DamagedState, reading, writing
from raft.storage.file import FileBytes
from raft.storage.frame import Damaged, Torn, frame, read_frames
from raft.storage.header import Owner, check_header, new_header, place, read_header
from raft.storage.keys import KeyRing
from raft.storage.seal import DataKey, Unsealable

FILE = "snapshot"
_CLOSED = -1


class SnapshotWriter:
    """Writes under a temporary name; `install_file` puts it in its place. Raises OSError. Any thread may abandon it."""

    def __init__(self, path: Path, owner: Owner, key: DataKey, state: pb.RaftSnapshotState) -> None:
        self.path = path
        self._key = key
        self._ordinal = 0
        self._open = Lock()
        header = new_header(owner, key)
        self._file_id = header.file_id
        self._descriptor = create_private_file(path)
        try:
            write_all(self._descriptor, frame(header.SerializeToString()))
            self._write(pb.RaftSnapshotPart(state=state))
        except BaseException:
            self.abandon()
            raise

    def write(self, chunk: bytes) -> None:
        if len(chunk) > MAX_CHUNK:
            raise InvalidArgument(f"a snapshot's chunk of {len(chunk)} bytes is larger than {MAX_CHUNK}")
        self._write(pb.RaftSnapshotPart(chunk=chunk))

    def finish(self) -> None:
        """On disk, whole, when it returns."""
        self._write(pb.RaftSnapshotPart(end=self._ordinal - 1))
        with self._open:
            os.fsync(self._descriptor)
            self._close()

    def abandon(self) -> None:
        """Waits for a `write` that another thread is in; one that comes later fails."""
        with self._open:
            self._close()
        self.path.unlink(missing_ok=True)

    def _write(self, part: pb.RaftSnapshotPart) -> None:
        sealed = frame(self._key.seal(part.SerializeToString(), place(self._file_id, self._ordinal)))
        with self._open:
            write_all(self._descriptor, sealed)
        self._ordinal += 1

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            os.close(descriptor)


def install_file(temporary: Path, path: Path) -> None:
    """Makes a finished snapshot the member's own, atomically. Raises StorageFailed."""
    with writing(path):
        move_file(temporary, path)


def check_state(state: pb.RaftSnapshotState) -> None:
    """Raises InvalidArgument unless a member can begin with it."""
    codec.decode_configuration(state)
    entry = codec.decode_entry(state.entry)
    if entry.idx < 2 or state.prev_term > entry.term:
        raise InvalidArgument("a snapshot's last entry is malformed")
    if any(len(request.request_id) > MAX_REQUEST_ID for request in state.requests):
        raise InvalidArgument("a snapshot's request id is too long")


def sealed_with(path: Path) -> bytes:
    """The id of the data key. Raises DamagedState, UnreadableState, or FailedPrecondition for another format."""
    try:
        with reading(path):
            _, payload = next(read_frames(FileBytes(path)))
    except (Torn, Damaged, StopIteration) as error:
        raise DamagedState(path, 0, "the snapshot is damaged") from error
    return read_header(path, payload).key_id


class Snapshot:
    """An open snapshot. It stays readable when a later one takes its place."""

    def __init__(self, path: Path, cluster_id: str, node_id: str, keys: KeyRing) -> None:
        """Raises ForeignState, DamagedState, UnreadableState, or FailedPrecondition for another format."""
        self._path = path
        self._node_id = node_id
        with reading(path):
            self._data = FileBytes(path)
        first = next(self._frames(), None)
        if first is None:
            raise self._damaged(0, "the snapshot is empty")
        header = check_header(path, first[1], cluster_id, node_id)
        self._key = keys.find(header.key_id, path)
        self._file_id = header.file_id
        self.state = self._read_state()
        """What it holds beside the state machine's chunks."""

    @property
    def index(self) -> int:
        return self.state.entry.index

    @property
    def term(self) -> int:
        return self.state.entry.term

    def chunks(self) -> Iterator[bytes]:
        """What the state machine gave. Raises DamagedState where it is not whole, or UnreadableState."""
        count = 0
        end = None
        for number, part in enumerate(self._parts()):
            if end is not None:
                raise self._damaged(len(self._data), "something follows the snapshot's end")
            match part.WhichOneof("body"):
                case "state" if number == 0:
                    pass
                case "chunk":
                    count += 1
                    yield part.chunk
                case "end" if part.end == count:
                    end = count
                case _:
                    raise self._damaged(0, "the snapshot's parts do not follow each other")
        if end is None:
            raise self._damaged(len(self._data), "the snapshot ends early")

    def _read_state(self) -> pb.RaftSnapshotState:
        part = next(self._parts(), None)
        if part is None:
            raise self._damaged(len(self._data), "the snapshot ends early")
        try:
            check_state(part.state)
        except InvalidArgument as error:
            raise self._damaged(0, "the snapshot's state is not what was written there") from error
        return part.state

    def _parts(self) -> Iterator[pb.RaftSnapshotPart]:
        for number, (offset, payload) in enumerate(self._frames()):
            if number == 0:
                continue
            try:
                yield pb.RaftSnapshotPart.FromString(self._key.open(payload, place(self._file_id, number - 1)))
            except (Unsealable, DecodeError) as error:
                raise self._damaged(offset, "the snapshot is damaged") from error

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        try:
            with reading(self._path):
                yield from read_frames(self._data)
        except (Torn, Damaged) as error:
            raise self._damaged(error.offset, "the snapshot is damaged") from error

    def _damaged(self, offset: int, what: str) -> DamagedState:
        return DamagedState(self._path, offset, what, self._node_id)
