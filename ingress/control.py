"""What the daemon and its relay say to each other over the relay's control socket.

Messages are JSON objects behind their length. The daemon asks (`call`), the relay answers each question in turn, and
tells of itself what the daemon should know (`event`). The first two calls keep their meaning for ever, so that every
daemon can make way for its own relay:

    hello                          -> version, settings, plan_version
    stop    drain (nanoseconds)    -> once nothing is listened on any more; open connections have so long to end
    plan    base, change           -> errors: [[port, message]]; base is the plan the change is for, null for EMPTY
    tls     key, certificate, root, cluster_id
    stats                          -> counters
    event: "ports"  version, errors        when a port has been taken after all, or lost
    event: "log"    message, fields
"""

import json
import struct
from typing import Any, NamedTuple

from core.errors import InvalidArgument
from core.ports import RELAY_PORT

VERSION = 1
"""Raised with every change of the relay that a running one should be replaced for."""
MAX_MESSAGE = 32 * 1024 * 1024

READY = "ready\n"
"""What a relay writes to its standard output once it can be called; anything else there is why it cannot."""

_LENGTH = struct.Struct("!I")
LENGTH_SIZE = _LENGTH.size

Message = dict[str, Any]


class Settings(NamedTuple):
    """Where a relay listens. A daemon that wants other settings replaces it."""

    address: str = ""
    """For the published ports; empty is all addresses of the host."""
    relay_address: str = ""
    """For other relays."""
    relay_port: int = RELAY_PORT
    """Of this and every other relay of the cluster."""


def pack(message: Message) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(body)) + body


def body_length(head: bytes) -> int:
    """What follows the LENGTH_SIZE bytes of `head`. Raises InvalidArgument if it is more than is ever sent."""
    (length,) = _LENGTH.unpack(head)
    if length > MAX_MESSAGE:
        raise InvalidArgument(f"a control message of {length} bytes")
    return int(length)


def unpack(body: bytes) -> Message:
    """Raises InvalidArgument unless it is a JSON object."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidArgument("a control message that is not JSON") from None
    if not isinstance(message, dict):
        raise InvalidArgument("a control message that is no object")
    return message
