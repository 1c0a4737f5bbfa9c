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
        prefix += (
            f"com.docker.swarm.node.id={line.node_id},com.docker.swarm.service.id={line.service_id},"
            f"com.docker.swarm.task.id={line.task_id} "
        )
    return prefix.encode() + line.data


def error_text(message: str) -> bytes:
    """How a stream that has begun says that it failed."""
    return f"Error grabbing logs: {message}\n".encode()


def framed(stderr: bool, data: bytes) -> bytes:
    return _HEADER.pack(_STDERR if stderr else _STDOUT, len(data)) + data


def unframed(stderr: bool, data: bytes) -> bytes:
    """A terminal has one stream, which needs no frames."""
    return data
