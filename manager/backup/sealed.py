"""A stream of bytes sealed with a passphrase. Slow on purpose, so not for the loop.

The key is Scrypt's (RFC 7914), of the passphrase and a salt that no other file has. The stream is cut into chunks of
64 KiB, each sealed with AES-256-GCM under a nonce of its number and whether it is the last: none can be changed, moved,
left out or cut off unseen. This is STREAM (Hoang, Reyhanitabar, Rogaway, Vizar, 2015), as the format of age has it.
"""

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from core.errors import FailedPrecondition, InvalidArgument

MIN_PASSPHRASE = 12
"""Characters."""
CHUNK = 64 << 10
VERSION = 1
"""Grows when an older pyswarm would read a file's contents wrongly."""
_MAGIC = b"pyswarm backup\n"
_SALT = 16
_HEADER = len(_MAGIC) + 1 + _SALT
_TAG = 16
_SCRYPT_N = 2**16
"""64 MiB and a fifth of a second for each passphrase that is tried."""


def seal(plain: Iterable[bytes], passphrase: str) -> Iterator[bytes]:
    """Raises InvalidArgument for a passphrase that is too short."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise InvalidArgument(f"the passphrase is too short: it has at least {MIN_PASSPHRASE} characters")
    header = _MAGIC + bytes([VERSION]) + os.urandom(_SALT)
    yield header
    aead = _aead(passphrase, header)
    buffer = bytearray()
    number = 0
    for data in plain:
        buffer += data
        while len(buffer) > CHUNK:
            yield aead.encrypt(_nonce(number, last=False), bytes(buffer[:CHUNK]), header)
            del buffer[:CHUNK]
            number += 1
    yield aead.encrypt(_nonce(number, last=True), bytes(buffer), header)


def unseal(file: BinaryIO, passphrase: str) -> Iterator[bytes]:
    """What `seal` was given, in other pieces; nothing of it is to be used before the end has come.

    Raises InvalidArgument for a wrong passphrase and a file that is damaged, cut off, or something else;
    FailedPrecondition for one of a newer version.
    """
    header = file.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise InvalidArgument("the file is no backup of pyswarm")
    version = header[len(_MAGIC)]
    if version != VERSION:
        raise FailedPrecondition(
            f"the backup has format {version}, and this version of pyswarm reads {VERSION}: restore it with the "
            "version that wrote it"
        )
    aead = _aead(passphrase, header)
    number, sealed = 0, file.read(CHUNK + _TAG)
    while True:
        following = file.read(CHUNK + _TAG)
        yield _open(aead, number, not following, sealed, header)
        if not following:
            return
        number, sealed = number + 1, following


def _open(aead: AESGCM, number: int, last: bool, sealed: bytes, header: bytes) -> bytes:
    try:
        return aead.decrypt(_nonce(number, last), sealed, header)
    except (InvalidTag, ValueError):
        if number == 0:
            reason = "the passphrase is wrong, or the backup is damaged or cut off where it begins"
        else:
            reason = f"the backup is damaged or cut off after byte {_HEADER + number * (CHUNK + _TAG)}"
        raise InvalidArgument(reason) from None


def _aead(passphrase: str, header: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=header[-_SALT:], length=32, n=_SCRYPT_N, r=8, p=1).derive(passphrase.encode()))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
