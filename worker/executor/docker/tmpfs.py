"""File systems in memory, mounted by the kernel's own calls. They need root; every call raises OSError."""

import ctypes
import errno
import os
from pathlib import Path

_NOSUID, _NODEV, _NOEXEC, _READ_ONLY, _REMOUNT = 2, 4, 8, 1, 32
_FLAGS = _NOSUID | _NODEV | _NOEXEC
_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def mount(folder: Path, size: int, files: int) -> None:
    """For so many bytes in so many files; to be entered by root alone, and never swapped out where the kernel can say
    so (Linux 6.4)."""
    options = f"mode=0700,size={size},nr_inodes={files + 1}"
    try:
        _mount(folder, _FLAGS, f"{options},noswap")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _mount(folder, _FLAGS, options)


def make_read_only(folder: Path) -> None:
    _mount(folder, _FLAGS | _REMOUNT | _READ_ONLY, "")


def is_read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def unmount(folder: Path) -> None:
    """At once; whoever has a file of it open, or bound into a container, keeps that."""
    if _libc.umount2(os.fsencode(folder), _DETACH):
        raise _failure(folder)


def _mount(folder: Path, flags: int, options: str) -> None:
    if _libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(flags), options.encode()):
        raise _failure(folder)


def _failure(folder: Path) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(folder))
