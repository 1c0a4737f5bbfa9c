"""The whole state folder of a member: key, journal and snapshot that belong together."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.errors import FailedPrecondition
from raft import codec
from raft.membership import Change, Configuration, Membership, Peer
from raft.messages import NOOP, Entry
from raft.storage.errors import DamagedState
from raft.storage.files import sync_folder
from raft.storage.header import Owner
from raft.storage.journal import SUFFIX, Journal, Sync
from raft.storage.loader import create_journal, load_journal, new_owner
from raft.storage.seal import KeyRing, create_keys, load_keys
from raft.storage.snapshot import FILE, Snapshot


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


def exists(folder: Path) -> bool:
    """Whether a member's log lies there."""
    return any(folder.glob(f"*{SUFFIX}"))


def wipe(folder: Path) -> None:
    """Forgets everything. The member that was there cannot come back; the node can join as a new one."""
    if folder.exists():
        shutil.rmtree(folder)


def create(folder: Path, cluster_id: str, node_id: str, first_addr: str | None, sync: Sync = os.fdatasync) -> State:
    """An empty log. With `first_addr`, that of a new cluster of this one member; else it waits to be added.

    Atomic: after a crash there is a whole log or none. FailedPrecondition if `folder` holds anything.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FailedPrecondition(f"{folder} is not empty; move what is in it away")
    half = folder.with_name(folder.name + ".new")
    wipe(half)
    half.mkdir(mode=0o700, parents=True)
    owner = new_owner(cluster_id, node_id)
    entries: list[Entry] = []
    if first_addr is not None:
        change = Change(Peer(node_id, first_addr, owner.incarnation))
        entries.append(Entry(codec.encode_change(b"first member", change), 2, 0))
    create_journal(half, owner, create_keys(half).current, entries, sync).close()
    os.rename(half, folder)
    sync_folder(folder.parent)
    return load(folder, cluster_id, node_id, sync)


def load(folder: Path, cluster_id: str, node_id: str, sync: Sync = os.fdatasync) -> State:
    """Raises ForeignState, DamagedState, or FailedPrecondition."""
    keys = load_keys(folder)
    for leftover in folder.glob(f"{FILE}.*"):
        leftover.unlink()
    path = folder / FILE
    snapshot = Snapshot(path, cluster_id, node_id, keys) if path.exists() else None
    journal = load_journal(folder, cluster_id, node_id, keys, sync)
    if snapshot is not None:
        _align(journal, snapshot, path)
    elif journal.entries[0].idx != 1:
        raise DamagedState(path, 0, "the snapshot that the log needs is missing", node_id)
    return State(folder, keys, journal, snapshot, _membership(journal, snapshot))


def ends(snapshot: Snapshot) -> tuple[Entry, Entry]:
    """The last two entries that a snapshot covers, as a log begins after it. The earlier one's command is gone."""
    last = codec.decode_entry(snapshot.state.entry)
    return Entry(NOOP, last.idx - 1, snapshot.state.prev_term), last


def _align(journal: Journal, snapshot: Snapshot, path: Path) -> None:
    """S5: a crash may have come between the snapshot's and the journal's turn. The journal is made to begin with it."""
    held = journal.at(snapshot.index)
    if held is None and journal.entries[0].idx > snapshot.index:
        raise DamagedState(path, 0, "the log begins after the snapshot ends", journal.owner.node_id)
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
