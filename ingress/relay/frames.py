"""How streams share one connection between two relays.

A frame is a header (kind, payload length, stream) and its payload. The relay that made the connection opens streams,
numbered from 1 upwards; a number is never used again. A stream carries bytes both ways, each way under a window.
"""

import struct
from collections.abc import Iterator

OPEN = 1
"""Connect me to a container: port, then task id."""
OPENED = 2
REFUSED = 3
"""There is no such stream: the container cannot be reached, or may not be asked for. Nothing was sent to it."""
DATA = 4
FIN = 5
"""No more data this way."""
RESET = 6
"""The stream is over, both ways, at once."""
WINDOW = 7
"""So many more bytes may be sent this way."""
GOAWAY = 8
"""Stream 0: open no more streams on this connection; it ends with its last stream."""

MAX_PAYLOAD = 64 * 1024
"""Small enough that a frame in front costs a short stream little."""
MAX_STREAM_ID = 2**32 - 1
MAX_TASK_ID = 64

_HEADER = struct.Struct("!BxxxII")
_PORT = struct.Struct("!H")
_CREDIT = struct.Struct("!I")
HEADER_SIZE = _HEADER.size

_SIZES = {
    OPEN: (_PORT.size + 1, _PORT.size + MAX_TASK_ID),
    OPENED: (0, 0),
    REFUSED: (0, 0),
    DATA: (1, MAX_PAYLOAD),
    FIN: (0, 0),
    RESET: (0, 0),
    WINDOW: (_CREDIT.size, _CREDIT.size),
    GOAWAY: (0, 0),
}
"""The least and the largest payload of each kind."""


class ProtocolError(Exception):
    """The other relay does not keep to the protocol; the connection is of no use any more."""


Frame = tuple[int, int, memoryview]
"""Kind, stream, payload. The payload is valid only until the caller returns."""


def header(kind: int, stream: int, length: int = 0) -> bytes:
    return _HEADER.pack(kind, length, stream)


def split(data: memoryview) -> Iterator[Frame]:
    """The complete frames at the beginning of `data`. Raises ProtocolError, before more than a header is kept."""
    position, end = 0, len(data)
    unpack = _HEADER.unpack_from
    while end - position >= HEADER_SIZE:
        kind, length, stream = unpack(data, position)
        bounds = _SIZES.get(kind)
        if bounds is None:
            raise ProtocolError(f"unknown kind of frame {kind}")
        if not bounds[0] <= length <= bounds[1]:
            raise ProtocolError(f"frame of kind {kind} with {length} bytes")
        start = position + HEADER_SIZE
        position = start + length
        if position > end:
            return
        yield kind, stream, data[start:position]


def open_payload(task_id: str, port: int) -> bytes:
    return _PORT.pack(port) + task_id.encode()


def parse_open(payload: memoryview) -> tuple[str, int]:
    """The task id and the port in its container. Raises ProtocolError."""
    (port,) = _PORT.unpack_from(payload)
    try:
        return str(payload[_PORT.size :], "ascii"), port
    except UnicodeDecodeError:
        raise ProtocolError("a task id that is no text") from None


def window_payload(credit: int) -> bytes:
    return _CREDIT.pack(credit)


def parse_window(payload: memoryview) -> int:
    (credit,) = _CREDIT.unpack(payload)
    return int(credit)
