"""Bytes on their way between two sockets of this machine that never enter this process: splice(2)."""

import os
import socket

SIZE = 64 * 1024
"""What a pipe holds."""

_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


class Pipe:
    """`held` bytes have been taken from the one socket and not yet been given to the other."""

    __slots__ = ("_in", "_out", "held")

    def __init__(self) -> None:
        """Raises OSError if no more files can be opened."""
        self._out, self._in = os.pipe()
        self.held = 0

    def fill(self, source: socket.socket) -> int:
        """How much was taken; 0 at the end of what `source` brings. Raises OSError, BlockingIOError."""
        count = os.splice(source.fileno(), self._in, SIZE, flags=_FLAGS)
        self.held += count
        return count

    def drain(self, sink: socket.socket) -> int:
        """Gives what it can and returns how much that was. Raises OSError, but no BlockingIOError."""
        given = 0
        while self.held:
            try:
                count = os.splice(self._out, sink.fileno(), self.held, flags=_FLAGS)
            except BlockingIOError:
                break
            self.held -= count
            given += count
        return given

    def close(self) -> None:
        os.close(self._in)
        os.close(self._out)
