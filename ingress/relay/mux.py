"""One connection between two relays and the streams on it: taken in turn, so that none waits for another's bulk."""

import ssl
from collections import deque
from collections.abc import Callable

from core.clock import SECOND
from core.errors import PyswarmError
from ingress.relay.frames import (
    DATA,
    GOAWAY,
    HEADER_SIZE,
    MAX_STREAM_ID,
    OPEN,
    REFUSED,
    WINDOW,
    ProtocolError,
    header,
    open_payload,
    parse_open,
    parse_window,
    split,
)
from ingress.relay.load import Load
from ingress.relay.loop import Loop
from ingress.relay.secure import SecureSocket
from ingress.relay.stream import Answer, Stream
from ingress.relay.tls import Peer
from ingress.relay.windows import Budget

BATCH = 128 * 1024
"""What is encrypted and sent at once; streams that wait are taken in turn for the next batch."""
MAX_BATCH = 1024 * 1024
"""A relay that makes us say more than this without reading any of it is not served on."""
LARGE = 16 * 1024
"""Bytes from which on data is encrypted where it lies rather than copied into the batch."""
MAX_STREAMS = 4096
HANDSHAKE_LIMIT = 3 * SECOND
"""From the first SYN to a peer that is known."""

Serve = Callable[[Stream, str, int], None]
"""Given a stream another relay opened, and the task id and port it asks for: must `accept` or `refuse` it."""


class Mux:
    """Owned by the pool that made the connection or by the listener that accepted it."""

    def __init__(
        self,
        loop: Loop,
        budget: Budget,
        identify: Callable[[ssl.SSLObject], Peer],
        ended: Callable[["Mux", str], None],
        serve: Serve | None = None,
    ) -> None:
        """`identify` raises a PyswarmError for a peer that is not wanted. `ended` is given the reason, or nothing.

        With `serve` the other side opens the streams, without it this side does.
        """
        self._loop = loop
        self._budget = budget
        self._identify = identify
        self._on_ended = ended
        self._serve = serve
        self._secure: SecureSocket | None = None
        self._streams: dict[int, Stream] = {}
        self._last_stream = 0
        self._batch: list[bytes | memoryview] = []
        self._batch_size = 0
        self._waiting: deque[Stream] = deque()
        self._flushing = False
        self.ended = False
        self.peer: Peer | None = None
        """Who is at the other end, once the handshake is over."""
        self._deadline = loop.call_later(HANDSHAKE_LIMIT, lambda: self.close("no answer in time"))
        """First the handshake's, then the peer certificate's."""
        self.heard = False
        """Whether the other relay has said anything, which one that refuses us does not."""
        self.retired = False
        self.load = Load()

    @property
    def streams(self) -> int:
        return len(self._streams)

    @property
    def usable(self) -> bool:
        """Whether new streams may be opened."""
        full = self.streams >= MAX_STREAMS or self._last_stream >= MAX_STREAM_ID
        return not (self.retired or self.ended or full)

    def attach(self, secure: SecureSocket) -> None:
        """The connection is there; what was sent meanwhile follows its handshake."""
        self._secure = secure

    def open(self, task_id: str, port: int, answer: Answer) -> Stream:
        """`answer` is called later, once, unless the stream is aborted first."""
        self._last_stream += 1
        stream = Stream(self, self._last_stream, self._budget, answer)
        self._streams[stream.id] = stream
        self.send(OPEN, stream.id, open_payload(task_id, port))
        return stream

    def retire(self) -> None:
        """No new streams, from either side; the connection ends with its last stream."""
        if not self.retired:
            self.retired = True
            self.send(GOAWAY, 0)
            self._flush_later()

    def close(self, reason: str) -> None:
        """Ends the connection and all its streams at once."""
        if self.ended:
            return
        self.ended = True
        self._deadline.cancel()
        if self._secure is not None:
            self._secure.close()
        for stream in tuple(self._streams.values()):
            stream.lost()
        self._waiting.clear()
        self._batch.clear()
        self._on_ended(self, reason)

    # What streams call

    def send(self, kind: int, stream: int, payload: bytes = b"") -> None:
        if self.ended:
            return
        self._append(header(kind, stream, len(payload)) + payload)
        self._flush_later()

    def send_now(self, stream: int, data: memoryview) -> bool:
        if self._waiting or self._batch_size >= BATCH or self._secure is None or not self._secure.can_write:
            return False
        if len(data) >= LARGE:
            self._append(header(DATA, stream, len(data)))
            self._write(data)
        else:
            self._append(header(DATA, stream, len(data)), data.tobytes())
            self._flush_later()
        return True

    def queue(self, stream: Stream) -> None:
        self._waiting.append(stream)
        self._flush_later()

    def forget(self, stream: Stream) -> None:
        self._streams.pop(stream.id, None)
        if self.retired and not self._streams:
            self._flush_later()

    # What the connection calls

    def established(self, connection: ssl.SSLObject) -> None:
        self._deadline.cancel()
        try:
            self.peer = self._identify(connection)
        except PyswarmError as error:
            self.close(error.message)
            return
        self._deadline = self._loop.call_later(self.peer.valid_for, self.retire)
        self._flush_later()

    def received(self, data: memoryview) -> int:
        used = 0
        self.heard = True
        self.load.add(len(data), self._loop.now)
        try:
            for kind, number, payload in split(data):
                used += HEADER_SIZE + len(payload)
                stream = self._streams.get(number)
                if stream is not None:
                    stream.on_frame(kind, payload, parse_window(payload) if kind == WINDOW else 0)
                else:
                    self._on_other_frame(kind, number, payload)
                if self.ended:
                    break
        except ProtocolError as error:
            self.close(f"broken protocol: {error}")
        return used

    def writable(self) -> None:
        self._flush()

    def lost(self, reason: str) -> None:
        self.close(reason)

    def _on_other_frame(self, kind: int, number: int, payload: memoryview) -> None:
        """A frame for no stream of ours: it opens one, ends them all, or its stream has ended here meanwhile."""
        if kind == GOAWAY and number == 0:
            self.retired = True
            self._flush_later()
        elif kind == OPEN and self._serve is not None and number > self._last_stream:
            self._last_stream = number
            task_id, port = parse_open(payload)
            if self.retired or len(self._streams) >= MAX_STREAMS:
                self.send(REFUSED, number)
                return
            stream = Stream(self, number, self._budget)
            self._streams[number] = stream
            self._serve(stream, task_id, port)
        elif kind == OPEN or not 0 < number <= self._last_stream:
            raise ProtocolError(f"frame of kind {kind} for stream {number}, which was never opened")

    def _append(self, *pieces: bytes | memoryview) -> None:
        self._batch += pieces
        self._batch_size += sum(map(len, pieces))

    def _flush_later(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.at_end_of_turn(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        secure = self._secure
        while secure is not None and secure.can_write and not self.ended:
            self._fill()
            if not self._batch:
                break
            self._write()
        if self._batch_size > MAX_BATCH:
            self.close("the other relay does not read what it asked for")
        elif self.retired and not self._streams and not self.ended and not self._batch:
            self.close("")

    def _write(self, *more: memoryview) -> None:
        """The batch, and then what is too large to be copied into it."""
        assert self._secure is not None
        data = b"".join(self._batch)
        self.load.add(self._batch_size + sum(map(len, more)), self._loop.now)
        self._batch.clear()
        self._batch_size = 0
        self._secure.write(data, *more)

    def _fill(self) -> None:
        while self._waiting and self._batch_size < BATCH:
            stream = self._waiting.popleft()
            piece = stream.take()
            if piece:
                self._append(header(DATA, stream.id, len(piece)), piece)
            stream.taken(len(piece))
