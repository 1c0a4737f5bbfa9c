"""A daemon's connection to a relay's control socket."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path

from core.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument, Unavailable
from ingress.control import LENGTH_SIZE, Message, body_length, pack, unpack

CALL_LIMIT = 10.0
"""Seconds until a relay that does not answer is given up."""

_CREDENTIALS = struct.Struct("iII")


class Channel:
    """Made by `connect`. `closed` is done when the relay has gone, or has talked nonsense."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_event: Callable[[Message], None]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._calls: deque[asyncio.Future[Message]] = deque()
        self.relay_pid = _peer_pid(writer.get_extra_info("socket"))
        """The process that listens at the other end, as the kernel knows it."""
        self.closed = asyncio.ensure_future(self._receive())

    @classmethod
    async def connect(cls, path: Path, on_event: Callable[[Message], None]) -> "Channel":
        """Raises OSError if no relay listens at `path`."""
        return cls(*await asyncio.open_unix_connection(path), on_event)

    async def call(self, name: str, **arguments: object) -> Message:
        """Raises FailedPrecondition if the relay refuses, Unavailable if it goes, DeadlineExceeded if it hangs."""
        if self.closed.done():
            raise Unavailable("the relay has gone")
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._calls.append(answer)
        self._writer.write(pack({"call": name, **arguments}))
        try:
            message = await asyncio.wait_for(answer, CALL_LIMIT)
        except TimeoutError:
            self.close()
            raise DeadlineExceeded(f"the relay has not answered for {CALL_LIMIT:.0f} s") from None
        if "error" in message:
            raise FailedPrecondition(str(message["error"]))
        content: Message = message["answer"]
        return content

    def close(self) -> None:
        self._writer.close()

    async def _receive(self) -> None:
        try:
            while True:
                head = await self._reader.readexactly(LENGTH_SIZE)
                self._dispatch(unpack(await self._reader.readexactly(body_length(head))))
        except (asyncio.IncompleteReadError, OSError, InvalidArgument):
            return
        finally:
            self._writer.close()
            for call in self._calls:
                if not call.done():
                    call.set_exception(Unavailable("the relay has gone"))

    def _dispatch(self, message: Message) -> None:
        if "event" in message:
            self._on_event(message)
        elif self._calls:
            call = self._calls.popleft()
            if not call.done():
                call.set_result(message)
        else:
            raise InvalidArgument("an answer to no call")


def _peer_pid(sock: socket.socket) -> int:
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid: int = _CREDENTIALS.unpack(data)[0]
    return pid
