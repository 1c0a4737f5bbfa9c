"""The relays of other nodes: a few kept connections to each, made when first needed."""

import socket
import ssl
from collections.abc import Callable, Collection
from random import Random

from core.backoff import Backoff
from core.clock import SECOND
from ingress.relay.dial import Dial
from ingress.relay.load import BUSY
from ingress.relay.loop import Loop
from ingress.relay.mux import Mux
from ingress.relay.secure import SecureSocket
from ingress.relay.sockets import tune_for_relays
from ingress.relay.stream import Answer, Stream
from ingress.relay.tls import Peer, Tls
from ingress.relay.windows import Budget

MAX_CONNECTIONS = 4
"""To one relay. The second and further ones are for streams that would share a connection with a bulk transfer."""

NOT_YET = float("inf")
"""The load of a connection that is being made: one that is there is better, however busy."""

PeerKey = tuple[str, str]
"""(node id, address)."""


class Peers:
    def __init__(self, loop: Loop, port: int, budget: Budget, report: Callable[..., None]) -> None:
        """`port` is where every relay listens for the others."""
        self._loop = loop
        self._port = port
        self._budget = budget
        self._report = report
        self._tls: Tls | None = None
        self._peers: dict[PeerKey, _Peer] = {}

    @property
    def connections(self) -> int:
        return sum(len(relay.connections) for relay in self._peers.values())

    def use(self, tls: Tls) -> None:
        """New streams go over new connections, made with `tls`."""
        self._tls = tls
        for relay in self._peers.values():
            relay.retire()

    def keep(self, wanted: Collection[PeerKey]) -> None:
        """Connections to other relays than these end with their last stream."""
        for key in self._peers.keys() - wanted:
            self._peers.pop(key).retire()

    def open(self, key: PeerKey, task_id: str, port: int, answer: Answer) -> Stream | None:
        """Asks the node's relay for a stream to the task; None if that cannot be tried now."""
        if self._tls is None:
            return None
        relay = self._peers.get(key)
        if relay is None:
            relay = self._peers[key] = _Peer(key, self._loop, self._port, self._budget, self._report)
        mux = relay.choose(self._tls)
        return mux.open(task_id, port, answer) if mux is not None else None


class _Peer:
    def __init__(self, key: PeerKey, loop: Loop, port: int, budget: Budget, report: Callable[..., None]) -> None:
        self._key = key
        self._loop = loop
        self._port = port
        self._budget = budget
        self._report = report
        self._backoff = Backoff(Random(), first=0.05, limit=1.0)
        self._not_before = 0
        self.connections: list[_Link] = []

    def choose(self, tls: Tls) -> Mux | None:
        """The connection for a new stream: one without bulk on it, a new one if all have, as long as there may be."""
        now = self._loop.now
        best: Mux | None = None
        least = 0.0
        usable = connecting = 0
        for link in self.connections:
            mux = link.mux
            if not mux.usable:
                continue
            usable += 1
            connecting += mux.peer is None
            load = mux.load.at(now) if mux.peer is not None else NOT_YET
            if best is None or load < least:
                best, least = mux, load
        if best is not None and (least < BUSY or connecting or usable >= MAX_CONNECTIONS):
            return best
        if now < self._not_before:
            return best
        node_id, address = self._key
        link = _Link(self._loop, tls, node_id, (address, self._port), self._budget, self._ended)
        self.connections.append(link)
        return best or link.mux

    def retire(self) -> None:
        for link in tuple(self.connections):
            link.mux.retire()

    def _ended(self, link: "_Link", reason: str) -> None:
        self.connections.remove(link)
        if link.mux.heard:
            self._backoff.reset()
        elif reason:
            self._not_before = self._loop.now + int(self._backoff.next() * SECOND)
        if reason:
            self._report("connection to relay lost", node=self._key[0], address=self._key[1], reason=reason)


class _Link:
    """A connection from the first SYN to its end."""

    def __init__(
        self,
        loop: Loop,
        tls: Tls,
        node_id: str,
        address: tuple[str, int],
        budget: Budget,
        ended: Callable[["_Link", str], None],
    ) -> None:
        self._loop = loop
        self._tls = tls
        self._node_id = node_id
        self._on_ended = ended
        self.mux = Mux(loop, budget, self._identify, self._ended)
        self._dial = Dial(loop, *address, self._dialled)

    def _dialled(self, sock: socket.socket | None) -> None:
        if sock is None:
            self.mux.close("cannot connect")
            return
        tune_for_relays(sock)
        self._loop.unwatch(sock)
        secure = SecureSocket(self._loop, sock, self._tls.client(self._node_id), self.mux)
        self.mux.attach(secure)
        secure.start()

    def _identify(self, connection: ssl.SSLObject) -> Peer:
        return self._tls.peer(connection)  # that it is the node we want is part of the handshake

    def _ended(self, mux: Mux, reason: str) -> None:
        self._dial.cancel()
        self._on_ended(self, reason)
