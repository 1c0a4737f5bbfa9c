"""Where other nodes' relays come in: who they are, and what they may ask for."""

import socket
import ssl
from collections.abc import Callable, Mapping
from functools import partial

from core.errors import PermissionDenied
from ingress.relay.attempt import Reach
from ingress.relay.capacity import Capacity
from ingress.relay.dial import Dial
from ingress.relay.leg import join
from ingress.relay.listener import Listener
from ingress.relay.loop import WRITE
from ingress.relay.mux import Mux
from ingress.relay.secure import SecureSocket
from ingress.relay.sockets import tune_for_relays
from ingress.relay.stream import Stream
from ingress.relay.tcp import TcpLeg
from ingress.relay.tls import Peer, Tls
from ingress.relay.windows import Budget
from ingress.routes import ExportKey

MAX_STRANGERS = 128
"""Connections whose peers are not known yet."""


class Entrance:
    def __init__(self, reach: Reach, budget: Budget, report: Callable[..., None]) -> None:
        self._reach = reach
        self._budget = budget
        self._report = report
        self._strangers = Capacity(MAX_STRANGERS)
        self._listener: Listener | None = None
        self._tls: Tls | None = None
        self._exports: Mapping[ExportKey, str] = {}
        self._nodes: frozenset[str] = frozenset()
        self._connections: set[Mux] = set()

    @property
    def connections(self) -> int:
        return len(self._connections)

    @property
    def bound(self) -> bool:
        return self._listener is not None

    def bind(self, address: str, port: int) -> None:
        """Raises OSError if the port is taken."""
        if self._listener is None:
            listener = Listener(self._reach.loop, address, port, self._accept, self._strangers)
            try:
                listener.listen()
            except OSError:
                listener.close()
                raise
            self._listener = listener

    def use(self, tls: Tls) -> None:
        """Every relay must connect anew; streams that are open stay until they end."""
        self._tls = tls
        self._retire()

    def admit(self, exports: Mapping[ExportKey, str], nodes: frozenset[str]) -> None:
        """What may be asked for from now on, and by whom. The connections of other nodes are cut."""
        self._exports = exports
        self._nodes = nodes
        for mux in tuple(self._connections):
            if mux.peer is not None and mux.peer.node_id not in nodes:
                mux.close(f"node {mux.peer.node_id} is no longer in the cluster")

    def retire(self) -> None:
        """Nothing new comes in; streams that are open stay until they end."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._retire()

    def _retire(self) -> None:
        for mux in tuple(self._connections):
            mux.retire()

    def _accept(self, sock: socket.socket) -> None:
        tls = self._tls
        if tls is None:
            sock.close()
            return
        tune_for_relays(sock)
        self._strangers.take()
        mux = Mux(self._reach.loop, self._budget, partial(self._identify, tls), self._ended, self._serve)
        mux.attach(SecureSocket(self._reach.loop, sock, tls.server(), mux))
        self._connections.add(mux)

    def _identify(self, tls: Tls, connection: ssl.SSLObject) -> Peer:
        peer = tls.peer(connection)
        if peer.node_id not in self._nodes:
            raise PermissionDenied(f"node {peer.node_id} is not in the cluster")
        self._strangers.give_back()
        return peer

    def _ended(self, mux: Mux, reason: str) -> None:
        self._connections.discard(mux)
        if mux.peer is None:
            self._strangers.give_back()
            self._reach.counters.refused_peers += 1
        if reason:
            self._report("connection from relay ended", node=mux.peer.node_id if mux.peer else "", reason=reason)

    def _serve(self, stream: Stream, task_id: str, port: int) -> None:
        address = self._exports.get((task_id, port))
        if address is None or self._reach.capacity.full:
            stream.refuse()
            return
        self._reach.capacity.take()
        dial = Dial(self._reach.loop, address, port, partial(self._dialled, stream))
        stream.on_ended = partial(self._stream_ended, dial)

    def _dialled(self, stream: Stream, sock: socket.socket | None) -> None:
        if sock is None:
            stream.refuse()
            return
        self._reach.counters.served += 1
        stream.accept()
        join(TcpLeg(self._reach.loop, sock, watched=WRITE), stream)

    def _stream_ended(self, dial: Dial) -> None:
        dial.cancel()
        self._reach.capacity.give_back()
