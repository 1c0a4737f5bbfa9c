"""Everything a process does to its files, counted, so that it can end between any two of them."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.support.disks import Platter

NAMES = ("write", "fsync", "fdatasync", "replace", "rename", "unlink", "ftruncate", "mkdir")
SECTOR = 512


class Died(BaseException):
    """The process is no more: nothing in it may catch this."""


class Operations:
    def __init__(self, last: int | None, error: OSError | None) -> None:
        self.done: list[str] = []
        self.inside = False
        self._last = last
        self._error = error

    def begin(self, name: str) -> None:
        if self._error is None and len(self.done) == self._last:
            raise Died  # a dead process does nothing more, whatever its handlers try
        if self._error is not None and len(self.done) + 1 == self._last:
            self.done.append(name)
            raise self._error
        self.inside = True

    def end(self, name: str) -> None:
        self.done.append(name)
        if self._error is None and len(self.done) == self._last:
            raise Died


@contextmanager
def counted(
    last: int | None = None, platter: Platter | None = None, error: OSError | None = None
) -> Iterator[Operations]:
    """Raises Died right after the operation number `last`, or `error` in its place: then those after it work again.

    With `platter`, syncs are only noted there.
    """
    operations = Operations(last, error)

    def watched(name: str) -> Any:
        sync = platter is not None and name in ("fsync", "fdatasync")
        real = platter.sync if sync and platter is not None else getattr(os, name)

        def call(*args: Any, **named: Any) -> Any:
            if operations.inside:  # the record that is kept of an operation is none itself
                return real(*args, **named)
            operations.begin(name)
            try:
                result = real(*args, **named)
            finally:
                operations.inside = False
            operations.end(name)
            return result

        return call

    patches = [patch.object(os, name, watched(name)) for name in NAMES]
    for one in patches:
        one.start()
    try:
        yield operations
    finally:
        for one in patches:
            one.stop()


def bad_sector(path: Path, bad: int) -> Callable[[int, int, int], bytes]:
    """In place of os.pread: of `path`, a disk gives back what lies before byte `bad`, and fails at that sector."""
    real, file = os.pread, path.stat()

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        if not os.path.samestat(os.fstat(descriptor), file) or not offset - SECTOR < bad < offset + size:
            return real(descriptor, size, offset)
        if bad <= offset:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, bad - offset, offset)

    return pread
