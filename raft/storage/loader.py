"""Opens a journal for writing, after what a crash tore off at its end is cut away."""

import os
import secrets
from pathlib import Path

from core.logs import logger
from raft.messages import FIRST, Entry
from raft.storage.errors import writing
from raft.storage.header import Owner
from raft.storage.journal import Contents, Journal, Sync
from raft.storage.reader import Reading, Tear
from raft.storage.seal import DataKey

log = logger("raft.storage")


def new_owner(cluster_id: str, node_id: str) -> Owner:
    """A member with an empty log is a new member."""
    return Owner(cluster_id, node_id, secrets.randbits(63) + 1)


def create_journal(
    folder: Path, owner: Owner, key: DataKey, entries: list[Entry], sync: Sync = os.fdatasync
) -> Journal:
    """Raises StorageFailed."""
    journal = Journal(owner, Contents(), [], folder, key, sync)
    for entry in (FIRST, *entries):
        journal.append(entry)
    journal.sync()
    return journal


def open_journal(folder: Path, found: Reading, key: DataKey, sync: Sync = os.fdatasync) -> Journal:
    """Raises StorageFailed."""
    if found.tear is not None:
        _cut(found.tear)
    _settle(found.segments[-1].path, sync)
    return Journal(found.owner, found.contents, found.segments, folder, key, sync)


def _settle(path: Path, sync: Sync) -> None:
    """A process that was killed may have written what it never synced. It has been read, so it must last."""
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)


def _cut(tear: Tear) -> None:
    with writing(tear.path):
        descriptor = os.open(tear.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            os.ftruncate(descriptor, tear.offset)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    log.warning(
        "a crash tore the end of the log: what was never completely written, and so never acknowledged, is cut away",
        path=str(tear.path),
        offset=tear.offset,
        bytes=size - tear.offset,
    )
