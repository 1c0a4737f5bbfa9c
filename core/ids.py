"""Identifiers: 25 characters of base 36, as Swarm's. A node's id is also its certificate's common name."""

import re
import secrets
from collections.abc import Callable

ID_LENGTH = 25
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_ID = re.compile(rf"[0-9a-z]{{{ID_LENGTH}}}")

IdSource = Callable[[], str]
"""Where a pure room gets its ids from; tests hand in a counter."""


def base36(number: int, length: int) -> str:
    """`number` in base 36, padded with zeros to `length` digits (more if it needs more)."""
    pairs: list[str] = []
    while number:
        number, pair = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[pair])
    return "".join(reversed(pairs)).lstrip("0").rjust(length, "0")


def new_id() -> str:
    """A new random id (128 bits)."""
    return base36(secrets.randbits(128), ID_LENGTH)


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None
