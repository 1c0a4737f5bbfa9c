"""A published port: its listener and its backends."""

import socket
from collections.abc import Sequence
from contextlib import suppress

from ingress.relay.attempt import Attempt, Reach
from ingress.relay.balance import Balancer
from ingress.relay.listener import Listener
from ingress.relay.tcp import TcpLeg
from ingress.routes import Backend


class Service:
    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._balancer = Balancer()
        self._listener: Listener | None = None

    @property
    def bound(self) -> bool:
        return self._listener is not None

    def bind(self, address: str, port: int) -> None:
        """Raises OSError if the port is taken."""
        if self._listener is None:
            reach = self._reach
            self._listener = Listener(reach.loop, address, port, self._accept, reach.capacity)
        self._listen_or_refuse()

    def replace(self, backends: Sequence[Backend]) -> None:
        """New connections go to these; open ones stay where they are. The port may be lost over it: see `bound`."""
        self._balancer.replace(backends)
        if self._listener is not None:
            with suppress(OSError):
                self._listen_or_refuse()

    def close(self) -> None:
        """Open connections stay."""
        self._balancer.replace(())
        self._release()

    def _listen_or_refuse(self) -> None:
        assert self._listener is not None
        if not len(self._balancer):
            self._listener.refuse()
            return
        try:
            self._listener.listen()
        except OSError:
            self._release()
            raise

    def _release(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _accept(self, sock: socket.socket) -> None:
        self._reach.counters.accepted += 1
        Attempt(self._reach, self._balancer, TcpLeg(self._reach.loop, sock)).next()
