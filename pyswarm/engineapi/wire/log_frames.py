"""A log stream on the wire: frames of a stream number, three zeros, a length, and one line."""

import struct

from core.model import LogLine
from pyswarm.engineapi.wire.times import show_log_time

_HEADER = struct.Struct(">BxxxL")
_STDOUT, _STDERR = 1, 2


def log_frame(line: LogLine, *, timestamps: bool, details: bool) -> bytes:
    prefix = ""
    if timestamps:
        prefix += f"{show_log_time(line.timestamp)} "
    if details:
        prefix += (
            f"com.docker.swarm.node.id={line.node_id},com.docker.swarm.service.id={line.service_id},"
            f"com.docker.swarm.task.id={line.task_id} "
        )
    return _frame(_STDERR if line.stderr else _STDOUT, prefix.encode() + line.data)


def error_frame(message: str) -> bytes:
    """How a stream that has begun says that it failed."""
    return _frame(_STDERR, f"Error grabbing logs: {message}\n".encode())


def _frame(stream: int, data: bytes) -> bytes:
    return _HEADER.pack(stream, len(data)) + data
