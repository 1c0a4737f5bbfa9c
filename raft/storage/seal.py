"""Encryption at rest: AES-256-GCM with a data key that lies beside the files, itself 0600.

Each file names the key it was sealed with, so a later key can be added while old files are still read.
"""

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import FailedPrecondition
from raft.storage.files import replace_file

_KEY_SIZE = 32
_NONCE_SIZE = 12


class Unsealable(Exception):
    """Not what was sealed with this key, in this place."""


class DataKey:
    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self.id = hashlib.sha256(b"pyswarm data key" + key).digest()[:8]
        """Tells keys apart; reveals nothing of them."""

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """`place` says where it stands, so that a sealed record cannot be moved elsewhere."""
        nonce = os.urandom(_NONCE_SIZE)
        return nonce + self._aead.encrypt(nonce, plain, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        try:
            return self._aead.decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], place)
        except (InvalidTag, ValueError) as error:
            raise Unsealable from error


class KeyRing:
    """The keys of one state folder. The first seals; all open."""

    def __init__(self, keys: list[bytes]) -> None:
        self._keys = {key.id: key for key in map(DataKey, keys)}
        self.current = next(iter(self._keys.values()))

    def find(self, key_id: bytes, path: Path) -> DataKey:
        """Raises FailedPrecondition if none of ours sealed `path`."""
        key = self._keys.get(key_id)
        if key is None:
            raise FailedPrecondition(f"{path} was sealed with a data key that {path.parent / KEY_FILE} does not hold")
        return key


KEY_FILE = "data-key"


def create_keys(folder: Path) -> KeyRing:
    key = os.urandom(_KEY_SIZE)
    replace_file(folder / KEY_FILE, key)
    return KeyRing([key])


def load_keys(folder: Path) -> KeyRing:
    path = folder / KEY_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FailedPrecondition(f"{path} is missing: without this data key the log beside it cannot be read") from None
    if not data or len(data) % _KEY_SIZE:
        raise FailedPrecondition(f"{path} is damaged: it is {len(data)} bytes long, not a multiple of {_KEY_SIZE}")
    return KeyRing([data[at : at + _KEY_SIZE] for at in range(0, len(data), _KEY_SIZE)])
