"""The unlock key, as Swarm writes it: `SWMKEY-1-` and 32 bytes in base 64."""

import base64
import binascii
import os

from core.errors import InvalidArgument

SIZE = 32
_PREFIX = "SWMKEY-1-"


def new_unlock_key() -> bytes:
    return os.urandom(SIZE)


def unlock_key_text(key: bytes) -> str:
    """For people; empty if there is none."""
    return _PREFIX + base64.b64encode(key).decode().rstrip("=") if key else ""


def parse_unlock_key(text: str) -> bytes:
    """Raises InvalidArgument for anything else than an unlock key; the message does not repeat it."""
    encoded = text.strip()
    if encoded.startswith(_PREFIX):
        try:
            key = base64.b64decode(encoded.removeprefix(_PREFIX) + "=", validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) == SIZE:
            return key
    raise InvalidArgument(
        "invalid unlock key: it looks like SWMKEY-1-<43 characters>; `pyswarm unlock-key`, run on a manager that is "
        "not locked, prints it"
    )
