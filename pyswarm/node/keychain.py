"""This node's keys on disk, and what they are locked with: whatever changes them goes through here."""

import os
from dataclasses import replace
from pathlib import Path
from threading import Lock

from core.model import Role
from identity.certificates import read_leaf
from identity.credentials import Credentials
from identity.files import NodeKeys, load, save
from identity.model import PemBundle
from identity.unlock import SIZE

__all__ = ["Keychain", "load_keychain", "new_keychain"]


class Keychain:
    """Everything that writes blocks, and may be called from any thread.

    The cluster's unlock key opens this node's file alone. What the log is locked with is drawn here and lies in that
    file, beside the one before until the log has taken to it: so the file changes in one step, and the log follows,
    whenever a crash comes.
    """

    def __init__(self, folder: Path, keys: NodeKeys, unlock_key: bytes = b"") -> None:
        self._folder = folder
        self._keys = keys
        self._unlock_key = unlock_key
        self._lock = Lock()

    @property
    def log_keys(self) -> tuple[bytes, ...]:
        """See NodeKeys."""
        return self._keys.log_keys

    @property
    def unlock_key(self) -> bytes:
        return self._unlock_key

    @property
    def credentials(self) -> Credentials:
        """As they are on disk; each time new ones."""
        bundle = self._keys.bundle
        return Credentials(bundle.key, bundle.certificate, bundle.root)

    def save(self, bundle: PemBundle) -> None:
        """Durable when it returns. A worker's keys are never locked, also if it was a manager. Raises OSError."""
        with self._lock:
            if _role(bundle) is Role.WORKER:
                self._write(NodeKeys(bundle), b"")
            else:
                self._write(replace(self._keys, bundle=bundle), self._unlock_key)

    def begin_locking(self, unlock_key: bytes) -> bytes | None:
        """Locks the file with `unlock_key`, or unlocks it if that is empty; what the log shall be locked with then, on
        which `finish_locking` is to be called. None if there is nothing to do. Raises OSError."""
        with self._lock:
            if _role(self._keys.bundle) is Role.WORKER or self._is_done(unlock_key):
                return None
            log_keys = self._keys.log_keys
            if unlock_key != self._unlock_key or bool(log_keys[0]) != bool(unlock_key):
                log_keys = (os.urandom(SIZE) if unlock_key else b"", *log_keys)
                self._write(replace(self._keys, log_keys=log_keys), unlock_key)
            return log_keys[0]

    def finish_locking(self) -> None:
        """The log is locked with the newest of the log keys: the others are forgotten. Raises OSError."""
        with self._lock:
            self._write(replace(self._keys, log_keys=self._keys.log_keys[:1]), self._unlock_key)

    def _is_done(self, unlock_key: bytes) -> bool:
        log_keys = self._keys.log_keys
        return self._unlock_key == unlock_key and len(log_keys) == 1 and bool(log_keys[0]) == bool(unlock_key)

    def _write(self, keys: NodeKeys, unlock_key: bytes) -> None:
        save(self._folder, keys, unlock_key)
        self._keys, self._unlock_key = keys, unlock_key


def load_keychain(folder: Path, unlock_key: bytes = b"") -> Keychain | None:
    """None if the node has no keys. Raises what identity.files.load raises."""
    keys = load(folder, unlock_key)
    return None if keys is None else Keychain(folder, keys, unlock_key)


def new_keychain(folder: Path, credentials: Credentials) -> Keychain:
    """On disk when it returns. Raises OSError."""
    made = Keychain(folder, NodeKeys(credentials.bundle))
    made.save(credentials.bundle)
    return made


def _role(bundle: PemBundle) -> Role:
    return read_leaf(bundle.certificate).identity.role
