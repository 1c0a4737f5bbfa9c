"""The links to all other members, as the configuration has them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

from identity.credentials import Credentials
from raft.engine.events import Connected, Disconnected, Event, Received
from raft.membership import Configuration, Peer
from raft.messages import Message
from raft.transport.link import Connection, Link


class Links:
    def __init__(
        self,
        own: Peer,
        credentials: Credentials,
        post: Callable[[Event], None],
        moved: Callable[[], None],
        removed: Callable[[], None],
    ) -> None:
        self._own = own
        self._credentials = credentials
        self._post = post
        self._moved = moved
        self._removed = removed
        self._configuration = Configuration()
        self._rng = Random()
        self._links: dict[str, Link] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False
        self._unsubscribe = credentials.subscribe(self._renew)

    def follow(self, configuration: Configuration) -> None:
        """Opens and closes links so that there is one to each other member."""
        self._configuration = configuration
        wanted = {peer.node_id: peer for peer in configuration.peers.values() if peer.node_id != self._own.node_id}
        for node_id in self._links.keys() - wanted.keys():
            self._drop(node_id)
        for node_id, peer in wanted.items():
            link = self._links.get(node_id)
            if link is None:
                self._links[node_id] = self._open(peer)
            elif (link.peer.addr, link.peer.incarnation) != (peer.addr, peer.incarnation):
                link.renew(peer)

    def send(self, receiver: str, message: Message) -> None:
        link = self._links.get(receiver)
        if link is not None:
            link.send(message)

    def reachable(self, node_id: str) -> bool:
        link = self._links.get(node_id)
        return node_id == self._own.node_id or (link is not None and link.up)

    def connection(self, node_id: str) -> Connection | None:
        """For a call beside the stream; None while that is down."""
        link = self._links.get(node_id)
        return None if link is None else link.connection

    def seen_at(self, node_id: str, addr: str) -> None:
        """A member itself names this address: it is tried."""
        link = self._links.get(node_id)
        if link is not None and link.peer.addr != addr:
            link.renew(replace(link.peer, addr=addr))

    def moved(self) -> list[Peer]:
        """Members that answer at another address than the log has for them, with the new one."""
        peers = self._configuration.peers
        up = [(peers[node_id], link.peer.addr) for node_id, link in self._links.items() if link.up]
        return [replace(peer, addr=addr) for peer, addr in up if peer.addr != addr]

    async def close(self) -> None:
        """For good. Once is enough."""
        if not self._closed:
            self._closed = True
            self._unsubscribe()
        for node_id in list(self._links):
            self._drop(node_id)
        await asyncio.gather(*self._closing)

    def _open(self, peer: Peer) -> Link:
        return Link(self._own, peer, self._credentials, self._rng, self._received, self._changed, self._removed)

    def _drop(self, node_id: str) -> None:
        task = asyncio.create_task(self._links.pop(node_id).close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _renew(self) -> None:
        for link in self._links.values():
            link.renew()

    def _received(self, sender: str, message: Message) -> None:
        self._post(Received(sender, message))

    def _changed(self, node_id: str, up: bool) -> None:
        self._post(Connected(node_id) if up else Disconnected(node_id))
        if up:
            self._moved()
