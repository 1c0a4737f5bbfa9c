"""A node's credentials on disk: a 0700 folder of 0600 files, each replaced whole."""

import os
from pathlib import Path

from identity.credentials import Credentials

_PAIR = "node.pem"
"""Certificate and key in one file: a crash can't leave the one without the other."""
_ROOT = "root.pem"
_KEY_BEGIN = b"-----BEGIN PRIVATE KEY-----"


def load_credentials(directory: Path) -> Credentials | None:
    """None if there are none. Raises FailedPrecondition if they are damaged."""
    try:
        pair = (directory / _PAIR).read_bytes()
        root = (directory / _ROOT).read_bytes()
    except FileNotFoundError:
        return None
    certificate, begin, key = pair.partition(_KEY_BEGIN)
    return Credentials(begin + key, certificate, root)


def save_credentials(directory: Path, key: bytes, certificate: bytes, root: bytes) -> None:
    """Durable when it returns; whoever reads meanwhile sees the old or the new."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(directory / _ROOT, root)
    _replace(directory / _PAIR, certificate + key)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.rename(path)
