"""A disk that forgets, and a process that dies at a certain step of using it.

A member's process lets its syncs and renames go through a `Disk`. With a `Platter` it keeps beside the folder what a
real disk is obliged to hold: of each file the bytes up to its last sync, of each folder the names at its last sync.
`lose_power` makes the folder what that record says, so whatever was written but not synced is gone.
"""

import json
import os
import shutil
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

_SECTOR = 512
_SYNC_SECONDS = 0.003

DEATHS = ("before the snapshot is renamed", "after the snapshot is renamed", "after the log is compacted")
"""Where a process can be told to kill itself: around the moment at which a snapshot replaces the entries it covers."""
UNSYNCED = "before the log is synced"
"""And here with entries written that its disk may forget."""


class Platter:
    """What is obliged to survive. In `folder`: a link to each synced file, and a ledger of the syncs.

    It is slow, as disks are, so that processes die between a write and the end of its sync.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._ledger = os.open(folder / "ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)

    def sync(self, descriptor: int) -> None:
        """In place of fsync and fdatasync."""
        status = os.fstat(descriptor)
        time.sleep(_SYNC_SECONDS)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if stat.S_ISDIR(status.st_mode):
            self._note({"folder": status.st_ino, "names": {entry.name: entry.inode() for entry in os.scandir(path)}})
        else:
            kept = self._folder / str(status.st_ino)
            if not kept.exists():
                os.link(path, kept)
            self._note({"file": status.st_ino, "size": status.st_size})

    def sync_all(self, folder: Path) -> None:
        for path in (folder, *folder.rglob("*")):
            descriptor = os.open(path, os.O_RDONLY)
            self.sync(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        os.close(self._ledger)

    def _note(self, row: dict[str, object]) -> None:
        os.write(self._ledger, json.dumps(row).encode() + b"\n")


class Disk:
    """What a process does to its disk, once `install` is called: before anything is imported that syncs."""

    def __init__(self, platter: Platter | None = None) -> None:
        self._fsync = platter.sync if platter is not None else os.fsync
        self._fdatasync = platter.sync if platter is not None else os.fdatasync
        self._replace = os.replace
        self._dies: str = ""
        self._renamed = False

    def install(self) -> None:
        os.fsync, os.fdatasync, os.replace = self._file_synced, self._data_synced, self._replaced  # type: ignore[assignment]

    def die(self, where: str) -> None:
        """The process kills itself when it comes there; nowhere if that is empty."""
        assert where in (*DEATHS, UNSYNCED, "")
        self._dies, self._renamed = where, False

    def stop_syncing(self) -> None:
        """As a log would that has forgotten to: its data no longer reaches the disk."""
        self._fdatasync = lambda descriptor: None

    def _file_synced(self, descriptor: int) -> None:
        self._fsync(descriptor)

    def _data_synced(self, descriptor: int) -> None:
        self._come_to(UNSYNCED, True)
        self._fdatasync(descriptor)
        self._come_to("after the log is compacted", self._renamed)

    def _replaced(self, source: Path, target: Path) -> None:
        snapshot = target.name == "snapshot"
        self._come_to("before the snapshot is renamed", snapshot)
        self._replace(source, target)
        self._come_to("after the snapshot is renamed", snapshot)
        self._renamed = self._renamed or snapshot

    def _come_to(self, where: str, here: bool) -> None:
        if here and self._dies == where:
            os.kill(os.getpid(), signal.SIGKILL)


def lose_power(folder: Path, record: Path, rng: Random | None = None) -> int:
    """Leaves in `folder` what `record` says that the disk must hold; the number of written bytes that are gone.

    With `rng` some of what was not synced is there after all, as on a real disk: nothing, its beginning, all of it, or
    all but some sectors.
    """
    files: dict[int, int] = {}
    folders: dict[int, dict[str, int]] = {}
    for row in map(json.loads, (record / "ledger").read_text().splitlines()):
        if "file" in row:
            files[row["file"]] = row["size"]
        else:
            folders[row["folder"]] = row["names"]
    gone = 0

    def rebuild(inode: int, at: Path) -> None:
        nonlocal gone
        if inode in folders:
            at.mkdir(mode=0o700)
            for name, child in folders[inode].items():
                rebuild(child, at / name)
        else:
            written = (record / str(inode)).read_bytes() if inode in files else b""
            left = _after_loss(written, files.get(inode, 0), rng)
            gone += written != left and len(written) - files.get(inode, 0)
            at.touch(mode=0o600)
            at.write_bytes(left)

    rebuilt = folder.with_name(folder.name + ".rebuilt")
    rebuild(folder.stat().st_ino, rebuilt)
    shutil.rmtree(folder)
    shutil.rmtree(record)
    rebuilt.rename(folder)
    platter = Platter(record)
    platter.sync_all(folder)
    platter.close()
    return gone


def _after_loss(written: bytes, synced: int, rng: Random | None) -> bytes:
    ways: list[Callable[[Random], bytes]] = [
        lambda rng: written[:synced],
        lambda rng: written[: rng.randint(synced, len(written))],
        lambda rng: written,
        lambda rng: _without_sectors(written, synced, rng),
    ]
    return written[:synced] if rng is None else rng.choice(ways)(rng)


def _without_sectors(written: bytes, synced: int, rng: Random) -> bytes:
    left = bytearray(written)
    for start in range(synced // _SECTOR * _SECTOR, len(written), _SECTOR):
        if rng.random() < 0.5:
            first, last = max(start, synced), min(start + _SECTOR, len(written))
            left[first:last] = bytes(last - first)
    return bytes(left)
