"""A client's way to a backend: as many are tried as necessary, since nothing is read from it before one is there."""

import socket
from typing import NamedTuple

from core.clock import MILLISECOND, SECOND
from ingress.relay.balance import Balancer, Choice
from ingress.relay.capacity import Capacity
from ingress.relay.counters import Counters
from ingress.relay.dial import Dial
from ingress.relay.leg import Leg, join
from ingress.relay.loop import WRITE, Loop, Timer
from ingress.relay.peers import Peers
from ingress.relay.stream import Stream
from ingress.relay.tcp import TcpLeg
from ingress.routes import Local

ANSWER_LIMIT = 2 * SECOND
"""For another relay to reach its container."""
PATIENCE = 1 * SECOND
"""How long a client waits while none of the backends can be reached."""
ROUND_PAUSE = 50 * MILLISECOND
"""Between two times of trying them all."""


class Reach(NamedTuple):
    """What connections are made with."""

    loop: Loop
    peers: Peers
    capacity: Capacity
    counters: Counters


class Attempt:
    __slots__ = ("_balancer", "_choice", "_client", "_gives_up", "_reach", "_stream", "_timer", "_tried")

    def __init__(self, reach: Reach, balancer: Balancer, client: TcpLeg) -> None:
        self._reach = reach
        self._balancer = balancer
        self._client = client
        self._gives_up = reach.loop.now + PATIENCE
        self._tried: list[Choice] = []
        self._choice: Choice | None = None
        self._stream: Stream | None = None
        self._timer: Timer | None = None
        reach.capacity.take()
        client.on_ended = reach.capacity.give_back

    def next(self) -> None:
        """Tries the backends that have not been tried, until one may be there."""
        while (choice := self._balancer.pick(self._tried, self._reach.loop.now)) is not None:
            self._tried.append(choice)
            self._choice = choice
            if self._begin(choice):
                return
            self._missed()
        if not self._tried or self._reach.loop.now >= self._gives_up:
            self._reach.counters.failed += 1
            self._client.abort()
        else:
            self._tried.clear()
            self._reach.loop.call_later(ROUND_PAUSE, self.next)

    def _begin(self, choice: Choice) -> bool:
        backend = choice.backend
        if isinstance(backend, Local):
            Dial(self._reach.loop, backend.address, backend.port, self._dialled)
            return True
        peer = (backend.node_id, backend.address)
        self._stream = self._reach.peers.open(peer, backend.task_id, backend.port, self._answered)
        if self._stream is None:
            return False
        self._timer = self._reach.loop.call_later(ANSWER_LIMIT, self._too_late)
        return True

    def _dialled(self, sock: socket.socket | None) -> None:
        if sock is None:
            self._missed()
            self.next()
        else:
            self._join(TcpLeg(self._reach.loop, sock, watched=WRITE))

    def _answered(self, connected: bool) -> None:
        stream, timer = self._stream, self._timer
        assert stream is not None
        assert timer is not None
        timer.cancel()
        if connected:
            self._join(stream)
        else:
            self._missed()
            self.next()

    def _too_late(self) -> None:
        assert self._stream is not None
        self._stream.abort()
        self._missed()
        self.next()

    def _missed(self) -> None:
        assert self._choice is not None
        self._reach.counters.retried += 1
        self._balancer.missed(self._choice, self._reach.loop.now)

    def _join(self, backend: Leg) -> None:
        choice = self._choice
        assert choice is not None
        self._balancer.reached(choice)
        backend.on_ended = lambda: self._balancer.release(choice)
        join(self._client, backend)
