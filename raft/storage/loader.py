"""Reads a journal back, or says exactly why it cannot be."""

import os
import secrets
from pathlib import Path

from google.protobuf.message import DecodeError

from core.errors import InvalidArgument
from proto import raft_pb2 as pb
from raft import codec
from raft.messages import FIRST, Entry
from raft.storage.errors import DamagedState
from raft.storage.files import sync_folder
from raft.storage.frame import Damaged, Torn, read_frames
from raft.storage.header import Owner, check_header, place
from raft.storage.journal import SUFFIX, Contents, Journal, Segment, Sync
from raft.storage.seal import DataKey, KeyRing, Unsealable


def new_owner(cluster_id: str, node_id: str) -> Owner:
    """A member with an empty log is a new member."""
    return Owner(cluster_id, node_id, secrets.randbits(63) + 1)


def create_journal(
    folder: Path, owner: Owner, key: DataKey, entries: list[Entry], sync: Sync = os.fdatasync
) -> Journal:
    journal = Journal(owner, Contents(), [], folder, key, sync)
    for entry in (FIRST, *entries):
        journal.append(entry)
    journal.sync()
    return journal


def load_journal(folder: Path, cluster_id: str, node_id: str, keys: KeyRing, sync: Sync = os.fdatasync) -> Journal:
    """Raises ForeignState, DamagedState, or FailedPrecondition for a file of another version or a missing key.

    What a crash tore off at the end was never acknowledged: it is cut away.
    """
    contents = Contents()
    segments: list[Segment] = []
    owner: Owner | None = None
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    for path in paths:
        segment = _read_segment(path, contents, cluster_id, node_id, keys, last=path == paths[-1])
        if segment is None:
            continue
        header, read = segment
        if segments and read.sequence != segments[-1].sequence + 1:
            raise DamagedState(path, 0, f"the file before it, number {read.sequence - 1}, is missing", node_id)
        owner = Owner(header.cluster_id, header.node_id, header.incarnation)
        segments.append(read)
    if owner is None or not contents.entries:
        raise DamagedState(folder / f"*{SUFFIX}", 0, "the log holds no entry", node_id)
    return Journal(owner, contents, segments, folder, keys.current, sync)


def _read_segment(
    path: Path, contents: Contents, cluster_id: str, node_id: str, keys: KeyRing, last: bool
) -> tuple[pb.RaftFileHeader, Segment] | None:
    """None for a file whose creation was cut short."""
    data = path.read_bytes()
    header: pb.RaftFileHeader | None = None
    key: DataKey | None = None
    ordinal = highest = 0
    offset = 0
    try:
        for offset, payload in read_frames(data):  # noqa: B007 - where it failed is told
            if header is None or key is None:
                header = check_header(path, payload, cluster_id, node_id)
                key = keys.find(header.key_id, path)
                continue
            batch = pb.RaftJournalBatch.FromString(key.open(payload, place(header.file_id, ordinal)))
            for record in batch.records:
                _replay(record, contents)
            highest = max(highest, contents.last_index if contents.entries else 0)
            ordinal += 1
    except (Unsealable, DecodeError, InvalidArgument, _Gap) as error:
        raise DamagedState(path, offset, "a record is not what was written there", node_id) from error
    except Damaged as error:
        raise DamagedState(path, error.offset, "a record is damaged", node_id) from error
    except Torn as error:
        if not last:
            raise DamagedState(path, error.offset, "the file ends early, and later files follow", node_id) from error
        _cut(path, error.offset if header is not None else 0)
    if header is None:
        path.unlink()
        sync_folder(path.parent)
        return None
    return header, Segment(path, header.sequence, highest)


class _Gap(Exception):
    pass


def _replay(record: pb.RaftJournalRecord, contents: Contents) -> None:
    match record.WhichOneof("kind"):
        case "append":
            entry = codec.decode_entry(record.append)
            if contents.entries and entry.idx != contents.last_index + 1:
                raise _Gap
            contents.entries.append(entry)
        case "truncate_from":
            contents.truncate(record.truncate_from)
        case "starts_at":
            contents.start_at(record.starts_at)
        case "vote":
            contents.term, contents.candidate = record.vote.term, record.vote.candidate
        case _:
            raise InvalidArgument("a record of unknown kind")


def _cut(path: Path, offset: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
