"""A node's keys on disk: one file, so that what belongs together always is together.

Certificate and roots can be read as they are. The secrets before them, the private key and what the log's keys are
locked with, lie in clear (0600) or sealed (AES-256-GCM) with an unlock key that is given from outside and never written
down.
"""

import base64
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import FailedPrecondition, PyswarmError
from core.files import make_private_folder, replace_private_file
from identity.certificates import load_certificate, read_leaf, signed_by
from identity.credentials import Credentials
from identity.model import NodeIdentity, PemBundle

FILE_NAME = "node.pem"
_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----\n(.*?)-----END \1-----\n", re.DOTALL)
_LOG_KEY, _SEALED, _CERTIFICATE = b"LOG KEY", b"LOCKED KEYS", b"CERTIFICATE"
_PLACE = b"pyswarm node keys"
_NONCE = 12

IN_CLEAR = (b"",)
"""The log keys of a node whose log is not locked."""


class Locked(FailedPrecondition):
    """The secrets are sealed, and not with the unlock key that was given, if any was."""


@dataclass(frozen=True, slots=True)
class NodeKeys:
    bundle: PemBundle
    log_keys: tuple[bytes, ...] = field(default=IN_CLEAR, repr=False)
    """One of these opens the log of this node's manager, the first at last; an empty one stands for a log that is not
    locked. More than one while it is locked anew."""


def save(folder: Path, keys: NodeKeys, unlock_key: bytes = b"") -> None:
    """Durable and whole when it returns: readable by its owner only, the secrets sealed if there is an `unlock_key`."""
    secrets = keys.bundle.key
    if keys.log_keys != IN_CLEAR:
        secrets += b"".join(_block(_LOG_KEY, key) for key in keys.log_keys)
    if unlock_key:
        nonce = os.urandom(_NONCE)
        secrets = _block(_SEALED, nonce + AESGCM(unlock_key).encrypt(nonce, secrets, _PLACE))
    make_private_folder(folder)
    replace_private_file(folder / FILE_NAME, secrets + keys.bundle.certificate + keys.bundle.root)


def load(folder: Path, unlock_key: bytes = b"") -> NodeKeys | None:
    """None if there are none. Expired certificates are loaded.

    Raises Locked, and FailedPrecondition if the file is damaged.
    """
    path = folder / FILE_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        keys = _parse(data, unlock_key)
        Credentials(keys.bundle.key, keys.bundle.certificate, keys.bundle.root)
    except Locked:
        raise
    except (PyswarmError, ValueError) as error:
        raise _damaged(path, error) from None
    return keys


def load_credentials(folder: Path, unlock_key: bytes = b"") -> Credentials | None:
    """As `load`."""
    keys = load(folder, unlock_key)
    return None if keys is None else Credentials(keys.bundle.key, keys.bundle.certificate, keys.bundle.root)


def load_identity(folder: Path) -> NodeIdentity | None:
    """Whose keys they are, also while they are locked. None if there are none.

    Raises FailedPrecondition if the certificate cannot be read.
    """
    path = folder / FILE_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    leaf = next((block[0] for block in _BLOCK.finditer(data) if block[1] == _CERTIFICATE), b"")
    try:
        return read_leaf(leaf).identity
    except PyswarmError as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> FailedPrecondition:
    return FailedPrecondition(
        f"{path} is damaged: {error}; `pyswarm leave --force` forgets the cluster, then join again"
    )


def _parse(data: bytes, unlock_key: bytes) -> NodeKeys:
    """Raises ValueError if something is missing."""
    blocks = list(_BLOCK.finditer(data))
    sealed = next((block for block in blocks if block[1] == _SEALED), None)
    secret = _BLOCK.finditer(_open(base64.b64decode(sealed[2]), unlock_key)) if sealed is not None else blocks
    private = [block for block in secret if block[1] != _CERTIFICATE]
    certificates = [block[0] for block in blocks if block[1] == _CERTIFICATE]
    if not private or len(certificates) < 2:
        raise ValueError("it does not hold a key, a certificate and a root")
    roots = [pem for pem in certificates if _is_root(pem)]
    chain = [pem for pem in certificates if pem not in roots]
    log_keys = tuple(base64.b64decode(block[2]) for block in private if block[1] == _LOG_KEY)
    return NodeKeys(PemBundle(private[0][0], b"".join(chain), b"".join(roots)), log_keys or IN_CLEAR)


def _open(sealed: bytes, unlock_key: bytes) -> bytes:
    if not unlock_key:
        raise Locked("this node's keys are locked: give the cluster's unlock key with `pyswarm unlock`")
    try:
        return AESGCM(unlock_key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _PLACE)
    except InvalidTag:
        raise Locked(
            "this node's keys are locked with another unlock key; if the key was rotated while this manager was "
            "stopped, give the one from before"
        ) from None


def _is_root(pem: bytes) -> bool:
    certificate = load_certificate(pem)
    return signed_by(certificate, certificate)


def _block(kind: bytes, data: bytes) -> bytes:
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (kind, base64.encodebytes(data), kind)
