"""The bytes of a file, read where they are asked for.

Not mapped into memory: there a sector that the disk does not give back ends the process with SIGBUS.
"""

import errno
import os
import weakref
from pathlib import Path

_SEARCHED = 64 << 10
"""Bytes that a search holds at a time."""


class FileBytes:
    """Behaves as the `bytes` that the file had when it was opened. Any threads may read; closed when nobody holds it.

    Every read raises OSError that names the byte, also where the file has become shorter meanwhile.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)
        self._size = os.fstat(self._descriptor).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self._size)
        data = self._read(start, stop - start)
        while start + len(data) < stop:
            data += self._read(start + len(data), stop - start - len(data))
        return data

    def find(self, sought: bytes, start: int) -> int:
        while start < self._size:
            at = self[start : start + _SEARCHED].find(sought)
            if at >= 0:
                return start + at
            start += _SEARCHED - len(sought) + 1
        return -1

    def _read(self, offset: int, size: int) -> bytes:
        if size <= 0:
            return b""
        try:
            data = os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} at byte {offset}") from error
        if not data:
            raise OSError(errno.EIO, f"the file became shorter while it was read, at byte {offset}")
        return data
