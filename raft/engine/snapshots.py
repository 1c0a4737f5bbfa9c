"""Snapshots between the engine and the disk: put in their place, and put in use."""

from pathlib import Path

from raft import codec
from raft.engine import events as ev
from raft.engine.out import Out
from raft.messages import Entry
from raft.storage.older import keep_older
from raft.storage.snapshot import install_file
from raft.storage.state import State, ends


class Snapshots:
    """`snapshot_bytes`: a log larger than that keeps nothing that its snapshot covers; else `keep_entries`."""

    def __init__(self, state: State, snapshot_bytes: int, keep_entries: int, out: Out) -> None:
        self._state = state
        self._snapshot_bytes = snapshot_bytes
        self._keep_entries = keep_entries
        self._out = out
        self._index = 0 if state.snapshot is None else state.snapshot.index
        self._ready: ev.SnapshotReady | None = None
        self._older: int | None = None

    @property
    def path(self) -> Path:
        return self._state.snapshot_path

    def keep_older(self, most: int) -> None:
        """So many of those whose place a later one takes, from the next one on. Until this is called, those that are
        there stay."""
        self._older = most

    def install(self, arrived: Path) -> None:
        """It takes the place of the one before."""
        if self._older is not None:
            keep_older(self._state.folder, self._index, self._older)
        install_file(arrived, self._state.snapshot_path)

    def ready(self, event: ev.SnapshotReady) -> None:
        self._ready = event

    def written(self) -> int | None:
        """Once a frozen state is on disk: entries before this index may go."""
        ready, self._ready = self._ready, None
        if ready is None:
            return None
        if ready.path is None or ready.index < self._index:
            if ready.path is not None:
                ready.path.unlink()  # a later one came from the leader meanwhile
            return self._state.journal.entries[0].idx
        self.install(ready.path)
        self._index = ready.index
        kept = 0 if self._state.journal.bytes_held > self._snapshot_bytes else self._keep_entries
        return max(self._state.journal.entries[0].idx, ready.index - 1 - kept)

    def restored(self) -> tuple[Entry, Entry]:
        """Puts the snapshot in use; the last two entries it covers."""
        snapshot = self._state.open_snapshot()
        self._index = snapshot.index
        prev, last = ends(snapshot)
        entries = self._state.journal.entries
        if len(entries) > 1 and entries[1][1:] == last[1:] and entries[0][1:] == prev[1:]:
            prev, last = entries[:2]
        else:
            self._state.membership.restart(codec.decode_configuration(snapshot.state), snapshot.index)
        self._out.tell(ev.Restored(snapshot))
        return prev, last
