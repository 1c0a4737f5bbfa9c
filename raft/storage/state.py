"""The whole state folder of a member: key, journal and snapshot that belong together."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.errors import FailedPrecondition
from core.files import move_file, sync_folder
from raft import codec
from raft.membership import Change, Configuration, Membership, Peer
from raft.messages import NOOP, Entry
from raft.storage.errors import DamagedState, writing
from raft.storage.header import Owner
from raft.storage.journal import SUFFIX, Journal, Sync
from raft.storage.keys import KeyRing, create_keys, load_keys
from raft.storage.loader import create_journal, new_owner, open_journal
from raft.storage.older import keep_newest
from raft.storage.reader import Reading, read_journal
from raft.storage.snapshot import FILE, Snapshot, sealed_with


@dataclass(slots=True)
class State:
    folder: Path
    keys: KeyRing
    journal: Journal
    snapshot: Snapshot | None
    membership: Membership

    @property
    def owner(self) -> Owner:
        return self.journal.owner

    @property
    def snapshot_path(self) -> Path:
        return self.folder / FILE

    def open_snapshot(self, path: Path | None = None) -> Snapshot:
        return Snapshot(path or self.snapshot_path, self.owner.cluster_id, self.owner.node_id, self.keys)

    def can_open(self, snapshot: Path) -> bool:
        """Whether its data key is still held. Raises DamagedState, UnreadableState, FailedPrecondition."""
        return self.keys.holds(sealed_with(snapshot))

    def has_current_snapshot(self) -> bool:
        """Whether there is one, sealed with the data key of now. Raises DamagedState, UnreadableState."""
        path = self.snapshot_path
        return path.exists() and sealed_with(path) == self.keys.current.id

    def retire_keys(self) -> None:
        """Seals the log anew with the data key of now and forgets all others, with the older snapshots, which nobody
        could read any more. The snapshot, if any, must be current.

        After a crash each file is still sealed with a key that is held. Raises StorageFailed.
        """
        assert not self.snapshot_path.exists() or self.has_current_snapshot()
        self.journal.reseal(self.keys.current)
        keep_newest(self.folder, 0)
        self.keys.retire()


def exists(folder: Path) -> bool:
    """Whether a member's log lies there."""
    return any(folder.glob(f"*{SUFFIX}"))


def wipe(folder: Path) -> None:
    """Forgets everything. The member that was there cannot come back; the node can join as a new one."""
    if folder.exists():
        shutil.rmtree(folder)


def create(
    folder: Path,
    cluster_id: str,
    node_id: str,
    first_addr: str | None,
    sync: Sync = os.fdatasync,
    unlock_key: bytes = b"",
) -> State:
    """An empty log. With `first_addr`, that of a new cluster of this one member; else it waits to be added.

    With `unlock_key` it is locked from the beginning. Atomic: after a crash there is a whole log or none.
    Raises StorageFailed, and FailedPrecondition if `folder` holds anything.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FailedPrecondition(f"{folder} is not empty; move what is in it away")
    half = folder.with_name(folder.name + ".new")
    owner = new_owner(cluster_id, node_id)
    entries: list[Entry] = []
    if first_addr is not None:
        change = Change(Peer(node_id, first_addr, owner.incarnation))
        entries.append(Entry(codec.encode_change(b"first member", change), 2, 0))
    with writing(folder):
        wipe(half)
        half.mkdir(mode=0o700, parents=True)
        create_journal(half, owner, create_keys(half, unlock_key).current, entries, sync).close()
        move_file(half, folder)
    return load(folder, cluster_id, node_id, sync, unlock_key)


def load(folder: Path, cluster_id: str, node_id: str, sync: Sync = os.fdatasync, unlock_key: bytes = b"") -> State:
    """Raises what `read` does, with everything left as it was; and StorageFailed."""
    keys = load_keys(folder, unlock_key)
    found, snapshot = read(folder, cluster_id, node_id, keys)
    with writing(folder):
        for leftover in (*folder.glob(f"{FILE}.*"), *folder.glob("*.new")):
            leftover.unlink()
        sync_folder(folder.parent)  # the process that made the folder may have been killed before it did
    journal = open_journal(folder, found, keys.current, sync)
    if snapshot is not None:
        _align(journal, snapshot)
    return State(folder, keys, journal, snapshot, _membership(journal, snapshot))


def read(folder: Path, cluster_id: str, node_id: str, keys: KeyRing) -> tuple[Reading, Snapshot | None]:
    """Changes nothing. Raises ForeignState, DamagedState, UnreadableState, or FailedPrecondition."""
    path = folder / FILE
    snapshot = Snapshot(path, cluster_id, node_id, keys) if path.exists() else None
    found = read_journal(folder, cluster_id, node_id, keys)
    first = found.contents.first_index
    if snapshot is None and first != 1:
        raise DamagedState(path, None, "the snapshot that the log needs is missing", node_id)
    if snapshot is not None and first > snapshot.index:
        raise DamagedState(path, None, "the log begins after the snapshot ends", node_id)
    return found, snapshot


def ends(snapshot: Snapshot) -> tuple[Entry, Entry]:
    """The last two entries that a snapshot covers, as a log begins after it. The earlier one's command is gone."""
    last = codec.decode_entry(snapshot.state.entry)
    return Entry(NOOP, last.idx - 1, snapshot.state.prev_term), last


def _align(journal: Journal, snapshot: Snapshot) -> None:
    """S5: a crash may have come between the snapshot's and the journal's turn. The journal is made to begin with it."""
    held = journal.at(snapshot.index)
    if held is None or held.term != snapshot.term or journal.at(snapshot.index - 1) is None:
        journal.restart(list(ends(snapshot)))
        journal.sync()
    elif journal.entries[0].idx < snapshot.index - 1:
        journal.compact(snapshot.index - 1)


def _membership(journal: Journal, snapshot: Snapshot | None) -> Membership:
    """S10: from the log as it is written, applied or not."""
    base = Configuration() if snapshot is None else codec.decode_configuration(snapshot.state)
    since = 0 if snapshot is None else snapshot.index
    membership = Membership(base, since)
    for entry in journal.entries:
        change = codec.change_of(entry.command) if entry.idx > since else None
        if change is not None:
            membership.appended(entry.idx, change)
    return membership
