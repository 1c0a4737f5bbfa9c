"""Join tokens, as Swarm writes them: `SWMTKN-1-<digest of the root certificate>-<secret>`."""

import hmac
import re
import secrets
from dataclasses import dataclass, field

from core.errors import InvalidArgument
from core.ids import base36
from identity.root import root_digest

MAX_TOKEN_LENGTH = 128
"""Longer texts are no tokens; checked before anything else is done with one."""
_TOKEN = re.compile(r"SWMTKN-1-([0-9a-z]{50})-([0-9a-z]{25})")


@dataclass(frozen=True, slots=True)
class JoinToken:
    digest: str
    """Of the root certificate's PEM text, which a joiner compares before it says anything."""
    secret: str = field(repr=False)


def parse_token(text: str) -> JoinToken:
    """Raises InvalidArgument for anything else than a token; the message does not repeat it."""
    match = _TOKEN.fullmatch(text) if len(text) <= MAX_TOKEN_LENGTH else None
    if match is None:
        raise InvalidArgument(
            "invalid join token: it looks like SWMTKN-1-<50 characters>-<25 characters>; "
            "`pyswarm join-token worker` (or manager), run on a manager, prints it"
        )
    return JoinToken(match[1], match[2])


def new_token(root_cert: bytes) -> str:
    """A token of the cluster whose root certificate (PEM) is given, with a new secret of 128 bits."""
    return f"SWMTKN-1-{root_digest(root_cert)}-{base36(secrets.randbits(128), 25)}"


def same_token(given: str, expected: str) -> bool:
    """In a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())
