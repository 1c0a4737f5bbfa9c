"""The snapshot file: a header in clear, then sealed frames: the state beside the machine's, its chunks, an end mark.

A file without its end mark, or whose parts do not follow each other, is refused whole (S9).
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError

from core.errors import InvalidArgument
from proto import raft_pb2 as pb
from raft.api import MAX_CHUNK
from raft.storage.errors import DamagedState
from raft.storage.files import create_private, sync_folder, write_all
from raft.storage.frame import Damaged, Torn, frame, read_frames
from raft.storage.header import Owner, check_header, new_header, place
from raft.storage.seal import DataKey, KeyRing, Unsealable

FILE = "snapshot"


class SnapshotWriter:
    """Writes under a temporary name; `install_file` puts it in its place. Raises OSError."""

    def __init__(self, path: Path, owner: Owner, key: DataKey, state: pb.RaftSnapshotState) -> None:
        self.path = path
        self._key = key
        self._ordinal = 0
        header = new_header(owner, key)
        self._file_id = header.file_id
        self._descriptor = create_private(path)
        write_all(self._descriptor, frame(header.SerializeToString()))
        self._write(pb.RaftSnapshotPart(state=state))

    def write(self, chunk: bytes) -> None:
        if len(chunk) > MAX_CHUNK:
            raise InvalidArgument(f"a snapshot's chunk of {len(chunk)} bytes is larger than {MAX_CHUNK}")
        self._write(pb.RaftSnapshotPart(chunk=chunk))

    def finish(self) -> None:
        """On disk, whole, when it returns."""
        self._write(pb.RaftSnapshotPart(end=self._ordinal - 1))
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def abandon(self) -> None:
        os.close(self._descriptor)
        self.path.unlink(missing_ok=True)

    def _write(self, part: pb.RaftSnapshotPart) -> None:
        write_all(
            self._descriptor, frame(self._key.seal(part.SerializeToString(), place(self._file_id, self._ordinal)))
        )
        self._ordinal += 1


def install_file(temporary: Path, path: Path) -> None:
    """Makes a finished snapshot the member's own, atomically."""
    os.replace(temporary, path)
    sync_folder(path.parent)


class Snapshot:
    """An open snapshot. It stays readable when a later one takes its place."""

    def __init__(self, path: Path, cluster_id: str, node_id: str, keys: KeyRing) -> None:
        """Raises ForeignState, DamagedState, or FailedPrecondition for another version or a missing key."""
        self._path = path
        self._node_id = node_id
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise DamagedState(path, 0, "the snapshot is empty", node_id)
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        frames = self._frames()
        header = check_header(path, next(frames, (0, b""))[1], cluster_id, node_id)
        self._key = keys.find(header.key_id, path)
        self._file_id = header.file_id
        self.state = next(self._parts()).state
        """What it holds beside the state machine's chunks."""

    @property
    def index(self) -> int:
        return self.state.entry.index

    @property
    def term(self) -> int:
        return self.state.entry.term

    def chunks(self) -> Iterator[bytes]:
        """What the state machine gave. Raises DamagedState where it is not whole."""
        count = 0
        for number, part in enumerate(self._parts()):
            match part.WhichOneof("body"):
                case "state" if number == 0:
                    pass
                case "chunk":
                    count += 1
                    yield part.chunk
                case "end" if part.end == count:
                    return
                case _:
                    raise DamagedState(self._path, 0, "the snapshot's parts do not follow each other", self._node_id)
        raise DamagedState(self._path, len(self._data), "the snapshot ends early", self._node_id)

    def _parts(self) -> Iterator[pb.RaftSnapshotPart]:
        for number, (offset, payload) in enumerate(self._frames()):
            if number == 0:
                continue
            try:
                yield pb.RaftSnapshotPart.FromString(self._key.open(payload, place(self._file_id, number - 1)))
            except (Unsealable, DecodeError) as error:
                raise DamagedState(self._path, offset, "the snapshot is damaged", self._node_id) from error

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        try:
            yield from read_frames(self._data)
        except (Torn, Damaged) as error:
            raise DamagedState(self._path, error.offset, "the snapshot is damaged", self._node_id) from error
