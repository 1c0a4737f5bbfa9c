"""Two ends of a connection between relays, without sockets, TLS or time: a test decides when anything moves."""

import heapq
from collections.abc import Callable
from typing import Any

from ingress.relay.leg import Ended, Leg
from ingress.relay.loop import Timer
from ingress.relay.mux import Mux
from ingress.relay.stream import Stream
from ingress.relay.tls import Peer
from ingress.relay.windows import Budget

BUDGET = 16 * 1024 * 1024


class StillLoop:
    """A loop whose turns a test ends."""

    def __init__(self) -> None:
        self.now = 0
        self._put_off: list[Callable[[], None]] = []
        self._timers: list[tuple[int, int, Timer]] = []

    def at_end_of_turn(self, callback: Callable[[], None]) -> None:
        self._put_off.append(callback)

    def call_later(self, delay: int, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self._timers, (self.now + delay, len(self._timers), timer))
        return timer

    def end_turn(self) -> None:
        while self._put_off:
            callbacks, self._put_off = self._put_off, []
            for callback in callbacks:
                callback()

    def advance(self, nanoseconds: int) -> None:
        self.now += nanoseconds
        while self._timers and self._timers[0][0] <= self.now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                callback()


class Wire:
    """Stands for a SecureSocket: keeps what is written until the test takes it."""

    def __init__(self) -> None:
        self.can_write = True
        self.written: list[bytes] = []
        self.closed = False

    def write(self, *plain: bytes) -> None:
        assert self.can_write
        self.written.append(b"".join(plain))

    def close(self) -> None:
        self.closed = True
        self.can_write = False


class Collector:
    """A leg that keeps what it gets; it holds back while `stuck`."""

    def __init__(self, stuck: bool = False) -> None:
        self.other: Leg | None = None
        self.on_ended: Ended | None = None
        self.stuck = stuck
        self.received = b""
        self.held = 0
        self.under_way = 0
        """What the other leg has been given and has not passed on."""
        self.finished = False
        self.aborted = False

    def start(self) -> None: ...

    def write(self, data: memoryview) -> int:
        self.received += data
        if self.stuck:
            self.held += len(data)
            return 0
        return len(data)

    def passed_on(self, count: int) -> None:
        self.under_way -= count

    def finish(self) -> None:
        self.finished = True

    def abort(self) -> None:
        self.aborted = True

    def give(self, data: bytes) -> None:
        """As if it had been read here."""
        assert self.other is not None
        self.under_way += len(data) - self.other.write(memoryview(data))

    def let_go(self) -> None:
        """What is held leaves."""
        held, self.held, self.stuck = self.held, 0, False
        if held and self.other is not None:
            self.other.passed_on(held)


class Pair:
    """The relay that opens streams, and the one that serves them by `serve`."""

    def __init__(self, serve: Callable[[Stream, str, int], None]) -> None:
        self.loop = StillLoop()
        self.budget = Budget(BUDGET)
        self.reasons: list[str] = []
        self.near, self.near_wire = self._end("far", None)
        self.far, self.far_wire = self._end("near", serve)

    def _end(self, peer: str, serve: Callable[[Stream, str, int], None] | None) -> tuple[Mux, Wire]:
        wire = Wire()
        loop: Any = self.loop
        link: Any = wire
        mux = Mux(loop, self.budget, lambda _: Peer(peer, 10**18), lambda _, reason: self.reasons.append(reason), serve)
        mux.attach(link)
        mux.established(link)
        return mux, wire

    def exchange(self) -> None:
        """Everything on its way arrives, and what that leads to, until all is quiet."""
        while True:
            self.loop.end_turn()
            moved = [self.deliver(self.near_wire, self.far), self.deliver(self.far_wire, self.near)]
            if not any(moved):
                return

    def deliver(self, wire: Wire, mux: Mux) -> bool:
        data = b"".join(wire.written)
        wire.written.clear()
        if data and not mux.ended:
            assert mux.received(memoryview(data)) == len(data) or mux.ended
        return bool(data)
