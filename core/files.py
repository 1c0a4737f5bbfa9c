"""Files that hold secrets or state: only their owner reads them, and they are there whole or not at all."""

import os
from pathlib import Path


def make_private_folder(path: Path) -> None:
    """Creates `path` (and its parents), or closes it to everyone but its owner."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def sync_folder(folder: Path) -> None:
    """Makes a creation, renaming or deletion in `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_private_file(path: Path) -> int:
    """A descriptor of a new, empty file of mode 0600; what was there under that name is gone."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_private_file(path: Path, data: bytes) -> None:
    """Atomic and durable: after it, also after a crash, `path` holds either what it held or `data`. Mode 0600."""
    temporary = path.with_name(path.name + ".new")
    descriptor = create_private_file(temporary)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    move_file(temporary, path)


def move_file(source: Path, target: Path) -> None:
    """Atomic and durable: `target`, in the same folder, is now what `source` was."""
    os.replace(source, target)
    sync_folder(target.parent)
