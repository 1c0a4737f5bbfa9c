"""A leg that is a stream on a connection to another relay."""

from collections.abc import Callable
from typing import Protocol

from ingress.relay.frames import DATA, FIN, MAX_PAYLOAD, OPENED, REFUSED, RESET, WINDOW, ProtocolError, window_payload
from ingress.relay.leg import Ended, Leg, end
from ingress.relay.windows import Budget, ReceiveWindow, SendWindow

Answer = Callable[[bool], None]


class Carrier(Protocol):
    """The connection, as its streams see it."""

    def send(self, kind: int, stream: int, payload: bytes = b"") -> None: ...

    def send_now(self, stream: int, data: memoryview) -> bool:
        """Sends `data`, at most a frame's worth, unless others wait before it."""
        ...

    def queue(self, stream: "Stream") -> None:
        """Asks for `take` to be called when it is the stream's turn."""
        ...

    def forget(self, stream: "Stream") -> None: ...


class Stream:
    __slots__ = (
        "_answer",
        "_carrier",
        "_ended",
        "_finished",
        "_finishing",
        "_pending",
        "_queued",
        "_receive",
        "_saw_end",
        "_send",
        "id",
        "on_ended",
        "other",
    )

    def __init__(self, carrier: Carrier, number: int, budget: Budget, answer: Answer | None = None) -> None:
        """`answer` is called once with whether the container is connected; None if the other relay opened it."""
        self.id = number
        self._carrier = carrier
        self._answer = answer
        self._send = SendWindow()
        self._receive = ReceiveWindow(budget)
        self._pending = memoryview(b"")
        """Not sent yet, for want of a window or of the stream's turn. The other leg holds back meanwhile."""
        self._queued = False
        self._saw_end = False
        self._finishing = False
        self._finished = False
        self._ended = False
        self.other: Leg | None = None
        self.on_ended: Ended | None = None

    # What the connection calls

    def on_frame(self, kind: int, payload: memoryview, credit: int) -> None:
        """Raises ProtocolError for what cannot come now."""
        if kind == DATA:
            self._on_data(payload)
        elif kind == WINDOW:
            self._send.grant(credit)
            self._queue()
        elif kind == FIN:
            self._on_end()
        elif kind == RESET or (kind == REFUSED and self._answer is not None):
            self.lost()
        elif kind == OPENED and self._answer is not None:
            answer, self._answer = self._answer, None
            answer(True)
        else:
            raise ProtocolError(f"frame of kind {kind} out of turn")

    def take(self) -> memoryview:
        """A frame's worth of what waits to be sent; empty if the window is closed."""
        self._queued = False
        size = min(len(self._pending), self._send.available, MAX_PAYLOAD)
        piece, self._pending = self._pending[:size], self._pending[size:]
        self._send.available -= size
        return piece

    def taken(self, count: int) -> None:
        """After `take`, once its data is on its way."""
        if self._pending:
            self._queue()
        elif self._finishing:
            self._shut()
        if count and self.other is not None:
            self.other.passed_on(count)

    def lost(self) -> None:
        """The far end or the connection is gone: both legs end."""
        if not self._ended:
            other, answer = self.other, self._answer
            self._end()
            if answer is not None:
                answer(False)
            if other is not None:
                other.abort()

    # What the relay that was asked for the stream calls

    def accept(self) -> None:
        self._carrier.send(OPENED, self.id)

    def refuse(self) -> None:
        """Instead of `accept` and of everything else."""
        if not self._ended:
            self._carrier.send(REFUSED, self.id)
            self._end()

    # What the other leg calls

    def start(self) -> None:
        """Nothing arrives before its window is open, so there is nothing to begin."""

    def write(self, data: memoryview) -> int:
        if self._ended:
            return len(data)
        size = len(data)
        at_once = not self._pending and size <= MAX_PAYLOAD and size <= self._send.available
        if at_once and self._carrier.send_now(self.id, data):
            self._send.available -= size
            return size
        self._pending = memoryview(bytes(self._pending) + data)
        self._queue()
        return 0

    def passed_on(self, count: int) -> None:
        if not self._ended and not self._saw_end:
            credit = self._receive.passed_on(count)
            if credit:
                self._carrier.send(WINDOW, self.id, window_payload(credit))

    def finish(self) -> None:
        self._finishing = True
        if not self._pending:
            self._shut()

    def abort(self) -> None:
        if not self._ended:
            self._carrier.send(RESET, self.id)
            self._end()

    def _on_data(self, payload: memoryview) -> None:
        if self.other is None or self._saw_end:
            raise ProtocolError("data out of turn")
        self._receive.received(len(payload))
        passed = self.other.write(payload)
        if passed:
            self.passed_on(passed)

    def _on_end(self) -> None:
        if self.other is None or self._saw_end:
            raise ProtocolError("end of data out of turn")
        self._saw_end = True
        other = self.other
        if self._finished:
            self._end()
        other.finish()

    def _queue(self) -> None:
        if self._pending and self._send.available and not self._queued:
            self._queued = True
            self._carrier.queue(self)

    def _shut(self) -> None:
        if self._ended or self._finished:
            return
        self._finished = True
        self._carrier.send(FIN, self.id)
        if self._saw_end:
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._answer = None
        self._pending = memoryview(b"")
        self._receive.close()
        self._carrier.forget(self)
        end(self)
