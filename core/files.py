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


def replace_private_file(path: Path, data: bytes) -> None:
    """Atomic and durable: after it, also after a crash, `path` holds either what it held or `data`. Mode 0600."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)
