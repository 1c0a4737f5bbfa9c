"""A container's log as the engine sends it, taken apart. Pure."""

from calendar import timegm
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from io import BytesIO
from typing import Any

from core.clock import SECOND
from core.model import LogOptions

LONGEST = 64 << 10
"""Bytes of a terminal's line in one piece: a program there may write for days without an end of line."""
_HEADER = 8
_STDERR = 2


def parameters(options: LogOptions) -> dict[str, Any]:
    """The query of a log request."""
    seconds, nanoseconds = divmod(options.since, SECOND)
    return {
        "stdout": options.stdout,
        "stderr": options.stderr,
        "follow": options.follow,
        "timestamps": True,
        "details": options.details,
        "since": f"{seconds}.{nanoseconds:09}",
        "tail": "all" if options.tail < 0 else str(options.tail),
    }


async def terminal_entries(
    chunks: AsyncIterator[bytes], details: bool = False
) -> AsyncGenerator[tuple[int, bool, bytes], None]:
    """As `entries`, of a container with a terminal: the engine sends its lines as they are, all of them as output.

    What is longer than `LONGEST` is cut: every part has the line's time, the first one its details.
    """
    line = bytearray()
    async for chunk in chunks:
        for piece in BytesIO(chunk):
            line += piece
            while len(line) > LONGEST:
                part = bytes(line[:LONGEST])
                yield _stamped(part)
                line[:LONGEST] = part.partition(b" ")[0] + (b"  " if details else b" ")
            if line.endswith(b"\n"):
                yield _stamped(bytes(line))
                line.clear()
    if line:
        yield _stamped(bytes(line))


def _stamped(line: bytes) -> tuple[int, bool, bytes]:
    stamp, _, data = line.partition(b" ")
    return _nanoseconds(stamp.decode("ascii")), False, data


async def entries(chunks: AsyncIterator[bytes]) -> AsyncGenerator[tuple[int, bool, bytes], None]:
    """(timestamp, whether it came from stderr, data) of every frame: one line, or the part of a long line that the
    engine keeps together."""
    rest = bytearray()
    async for chunk in chunks:
        rest += chunk
        for kind, payload in _frames(rest):
            stamp, _, data = payload.partition(b" ")
            yield _nanoseconds(stamp.decode("ascii")), kind == _STDERR, data


def details_of(data: bytes) -> tuple[str, bytes]:
    """What the log driver added to an entry that was asked for with details, and the rest of it."""
    details, _, rest = data.partition(b" ")
    return details.decode(errors="replace"), rest


def _frames(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Takes all complete frames off `buffer`: a byte for the stream, three of padding, four for the length."""
    position = 0
    while len(buffer) - position >= _HEADER:
        end = position + _HEADER + int.from_bytes(buffer[position + 4 : position + _HEADER], "big")
        if end > len(buffer):
            break
        yield buffer[position], bytes(buffer[position + _HEADER : end])
        position = end
    del buffer[:position]


def _nanoseconds(stamp: str) -> int:
    """Of a time as the engine writes it, in UTC: 2006-01-02T15:04:05.999999999Z, with any number of decimals."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    date, _, time_of_day = whole.partition("T")
    fields = [int(part) for part in (*date.split("-"), *time_of_day.split(":"))]
    return timegm((*fields, 0, 0, 0)) * SECOND + int(fraction.ljust(9, "0") or 0)
