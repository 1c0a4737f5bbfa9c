"""A log stream on the wire: frames of a stream number, three zeros, a length, and one line."""

import struct

from core.model import LogLine
from pyswarm.engineapi.wire.times import show_log_time

_HEADER = struct.Struct(">BxxxL")
_STDOUT, _STDERR = 1, 2


def log_text(line: LogLine, *, timestamps: bool, details: bool) -> bytes:
    prefix = ""
    if timestamps:
        prefix += f"{show_log_time(line.timestamp)} "
    if details:
        ids = {"node": line.node_id, "service": line.service_id, "task": line.task_id}
        pairs = [f"com.docker.swarm.{noun}.id={item_id}" for noun, item_id in ids.items()]
        prefix += ",".join(sorted([*pairs, *filter(None, line.details.split(","))])) + " "
    return prefix.encode() + line.data


def error_text(message: str) -> bytes:
    """How a stream that has begun says that it failed."""
    return f"Error grabbing logs: {message}\n".encode()


def framed(stderr: bool, data: bytes) -> bytes:
    return _HEADER.pack(_STDERR if stderr else _STDOUT, len(data)) + data


def unframed(stderr: bool, data: bytes) -> bytes:
    """A terminal has one stream, which needs no frames."""
    return data
