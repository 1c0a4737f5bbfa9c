"""A member's disk: slow, full or broken now and then, and what was not synced is lost with the power."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

_SECTOR = 512


class Crash(BaseException):
    """The power fails just here. Nothing the process does can catch it."""


class Disk:
    def __init__(self, folder: Path, rng: Random, count: Callable[[str], None]) -> None:
        self.folder = folder
        self.crash_rate = self.error_rate = self.slow_rate = 0.0
        self.damage_next_snapshot = False
        self.loses_power = False
        """Whether each crash is one: else half of them are."""
        self.lag = 0.0
        """Seconds that the process has waited for its disk in this turn."""
        self._rng = rng
        self._count = count
        self._power = True
        self._synced: dict[int, int] = {}

    def sync(self, descriptor: int) -> None:
        """In place of fdatasync."""
        if self._power and self._rng.random() < self.crash_rate:
            self._count("crash in sync")
            self._power = False
        if not self._power:
            raise Crash
        if self._rng.random() < self.error_rate:
            full = self._rng.random() < 0.5
            self._count("disk full" if full else "disk error")
            raise OSError(errno.ENOSPC if full else errno.EIO, "simulated")
        if self._rng.random() < self.slow_rate:
            self._count("slow disk")
            self.lag += self._rng.choice([0.02, 0.1, 0.7])
        status = os.fstat(descriptor)
        self._synced[status.st_ino] = status.st_size

    def installed(self, path: Path) -> None:
        """A snapshot was put in its place."""
        if self.damage_next_snapshot:
            self.damage_next_snapshot = False
            data = bytearray(path.read_bytes())
            data[len(data) // 3] ^= 1
            path.write_bytes(data)

    def cut_power(self, what: str) -> None:
        self._count(what)
        self._power = False
        raise Crash

    def start(self) -> None:
        """After the process ended: by itself, and all that was written is there, synced or not; or with the power, and
        what was not synced is there, or a part of it, or nothing, or zeros in its place.
        """
        self._power, self.lag = True, 0.0
        if not self.loses_power and self._rng.random() < 0.5:
            return
        for path in sorted(self.folder.glob("*.wal")):
            status = path.stat()
            synced = self._synced.get(status.st_ino, status.st_size)
            if status.st_size > synced:
                self._tear(path, synced, status.st_size)
            self._synced[status.st_ino] = path.stat().st_size

    def _tear(self, path: Path, synced: int, size: int) -> None:
        kept = self._rng.choice([synced, size, self._rng.randrange(synced, size)])
        if kept == size:
            return
        self._count("torn")
        if self._rng.random() < 0.5:
            os.truncate(path, kept)
        else:  # the file had grown already; a sector is written as a whole or not at all
            os.truncate(path, max(synced, kept // _SECTOR * _SECTOR))
            os.truncate(path, size)
