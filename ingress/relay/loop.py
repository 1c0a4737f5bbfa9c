"""The relay's event loop: level-triggered epoll, timers, and work put off to the end of a turn."""

import heapq
import select
import socket
import time
import traceback
from collections.abc import Callable
from typing import Protocol

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
BROKEN = select.EPOLLERR | select.EPOLLHUP
"""Reported whether asked for or not."""

MAX_EVENTS = 512
"""Per turn, so that what is put off is never long in coming."""
MAX_PATIENCE = 3600.0
"""Seconds; epoll has a limit of its own, and a certificate's expiry may lie beyond it."""


class Handler(Protocol):
    def ready(self, events: int) -> None:
        """The socket can be read or written, or has failed."""
        ...

    def abort(self) -> None:
        """Gives up: called when `ready` raised what it should not have."""
        ...


class Timer:
    """A call to come."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Loop:
    def __init__(self, report: Callable[[str], None]) -> None:
        """`report` is given the traceback of every handler that failed."""
        self._report = report
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._timers: list[tuple[int, int, Timer]] = []
        """A heap of (when it is due, a number that tells equals apart, timer)."""
        self._timer_number = 0
        self._put_off: list[Callable[[], None]] = []
        self._discarded: list[socket.socket] = []
        self._running = False
        self.now = time.monotonic_ns()
        """Monotonic nanoseconds when this turn began."""

    def watch(self, sock: socket.socket, events: int, handler: Handler) -> None:
        fd = sock.fileno()
        self._handlers[fd] = handler
        self._epoll.register(fd, events)

    def hand_over(self, sock: socket.socket, handler: Handler) -> None:
        """What the loop watches the socket for concerns `handler` from now on."""
        self._handlers[sock.fileno()] = handler

    def change(self, sock: socket.socket, events: int) -> None:
        self._epoll.modify(sock.fileno(), events)

    def unwatch(self, sock: socket.socket) -> None:
        fd = sock.fileno()
        del self._handlers[fd]
        self._epoll.unregister(fd)

    def discard(self, sock: socket.socket) -> None:
        """Forgets the socket and closes it at the end of the turn.

        Not at once: its number must not come back while events of this turn may still bear it.
        """
        self._handlers.pop(sock.fileno(), None)
        self._discarded.append(sock)

    def call_later(self, delay: int, callback: Callable[[], None]) -> Timer:
        """`delay` is in nanoseconds."""
        timer = Timer(callback)
        self._timer_number += 1
        heapq.heappush(self._timers, (self.now + delay, self._timer_number, timer))
        return timer

    def at_end_of_turn(self, callback: Callable[[], None]) -> None:
        self._put_off.append(callback)

    def run(self) -> None:
        """Until `stop`."""
        self._running = True
        while self._running:
            self.turn()

    def stop(self) -> None:
        self._running = False

    def turn(self) -> None:
        """Waits for something to do and does it."""
        ready = self._epoll.poll(self._patience(), MAX_EVENTS)
        self.now = time.monotonic_ns()
        handlers = self._handlers
        for fd, events in ready:
            handler = handlers.get(fd)
            if handler is not None:
                try:
                    handler.ready(events)
                except Exception:
                    self._report(traceback.format_exc())
                    self._guarded(handler.abort)
        self._run_timers()
        while self._put_off:
            callbacks, self._put_off = self._put_off, []
            for callback in callbacks:
                self._guarded(callback)
        for sock in self._discarded:
            sock.close()
        self._discarded.clear()

    def _patience(self) -> float:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return MAX_PATIENCE
        return min(MAX_PATIENCE, max(0, self._timers[0][0] - time.monotonic_ns()) / 1e9)

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self.now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                self._guarded(callback)

    def _guarded(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:
            self._report(traceback.format_exc())
