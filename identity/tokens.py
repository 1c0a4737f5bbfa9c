"""Join tokens: `SWMTKN-1-<root's digest>-<secret>`, as Swarm writes them.

The digest lets a new node know the cluster's root before it trusts anyone; the secret tells the cluster the role.
"""

import hmac
import re
import secrets
from dataclasses import dataclass, field

from core.errors import InvalidArgument
from core.ids import base36
from identity.root import DIGEST_LENGTH, root_digest

_SECRET_LENGTH = 25
_TOKEN = re.compile(rf"SWMTKN-1-([0-9a-z]{{{DIGEST_LENGTH}}})-([0-9a-z]{{{_SECRET_LENGTH}}})")


@dataclass(frozen=True, slots=True)
class JoinToken:
    digest: str
    secret: str = field(repr=False)


def new_token(root_pem: bytes) -> str:
    """A token with a fresh 128-bit secret."""
    return f"SWMTKN-1-{root_digest(root_pem)}-{base36(secrets.randbits(128), _SECRET_LENGTH)}"


def parse_token(text: str) -> JoinToken:
    """Raises InvalidArgument, without repeating the token, if it is none."""
    match = _TOKEN.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(
            "invalid join token: it looks like SWMTKN-1-...; get one with `pyswarm join-token worker` on a manager"
        )
    return JoinToken(match[1], match[2])


def same_token(one: str, other: str) -> bool:
    """Takes as long whether they differ early or late."""
    return hmac.compare_digest(one.encode(), other.encode())
