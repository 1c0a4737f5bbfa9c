"""Files that are there whole or not at all."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Makes a creation, renaming or deletion in `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_private(path: Path) -> int:
    """A descriptor of a new, empty file that only its owner may read."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_file(path: Path, data: bytes) -> None:
    """Atomic: after it, also after a crash, `path` holds either what it held or `data`."""
    temporary = path.with_name(path.name + ".new")
    descriptor = create_private(temporary)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    sync_folder(path.parent)
