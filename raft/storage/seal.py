"""Encryption at rest: AES-256-GCM."""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_SIZE = 32
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
