"""The bytes of a log stream, and what they say. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

STDERR, SYSTEM = 2, 3
"""Streams: of a task; of the daemon itself, which says why the log ends. Any other is a task's standard output."""

_HEADER = 8
_PREFIX = "com.docker.swarm."


class Frames:
    """Docker's multiplexed stream: [1, 2 or 3, 0, 0, 0, length (big endian, 4 bytes)] and that many bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """(stream, data) of every frame that is whole by now."""
        self._buffer += chunk
        while len(self._buffer) >= _HEADER:
            end = _HEADER + int.from_bytes(self._buffer[4:_HEADER], "big")
            if len(self._buffer) < end:
                return
            yield self._buffer[0], bytes(self._buffer[_HEADER:end])
            del self._buffer[:end]


@dataclass(frozen=True)
class LogLine:
    timestamp: str
    details: str
    text: bytes


def split(data: bytes, has_timestamp: bool) -> LogLine:
    """`[timestamp ]details text`."""
    stamp, rest = data.split(b" ", 1) if has_timestamp and b" " in data else (b"", data)
    details, _, text = rest.partition(b" ")
    return LogLine(stamp.decode(errors="replace"), details.decode(errors="replace"), text)


@dataclass(frozen=True)
class Details:
    """Where a line comes from; `rest` are the details beyond it, sorted."""

    node_id: str
    service_id: str
    task_id: str
    rest: str

    @classmethod
    def of(cls, text: str) -> "Details":
        pairs = dict(pair.partition("=")[::2] for pair in text.split(","))
        node, service, task = (pairs.pop(f"{_PREFIX}{name}.id", "") for name in ("node", "service", "task"))
        return cls(node, service, task, ",".join(f"{key}={value}" for key, value in sorted(pairs.items())))
