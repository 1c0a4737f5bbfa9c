"""A log stream on the wire: frames of a stream number, three zeros, a length, and one line."""

import struct
from enum import IntEnum

from core.model import LogLine
from pyswarm.engineapi.wire.times import show_log_time

_HEADER = struct.Struct(">BxxxL")


class Stream(IntEnum):
    STDOUT = 1
    STDERR = 2
    SYSTEM = 3
    """What the daemon itself says when it cannot go on: it is no line of a task, and the reader fails with it."""


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


def framed(stream: Stream, data: bytes) -> bytes:
    return _HEADER.pack(stream, len(data)) + data


def unframed(stream: Stream, data: bytes) -> bytes:
    """A terminal has one stream, which needs no frames."""
    return data
