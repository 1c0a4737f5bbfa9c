"""Who this relay is and whom it believes, for the connections between relays."""

import ssl
import time
from typing import NamedTuple

from core.clock import SECOND
from core.errors import InvalidArgument
from identity.model import PemBundle
from identity.tls import tls_context, verified_peer


class Engine(NamedTuple):
    """One connection's TLS, with what it has received and what it wants to send."""

    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO


class Peer(NamedTuple):
    node_id: str
    valid_for: int
    """Nanoseconds until its certificate expires."""


class Tls:
    def __init__(self, bundle: PemBundle, cluster_id: str) -> None:
        """Raises InvalidArgument if the key, the certificate and the root are none, or do not belong together."""
        try:
            self._client = tls_context(bundle, server_side=False)
            self._server = tls_context(bundle, server_side=True)
        except (ssl.SSLError, ValueError) as error:
            raise InvalidArgument(f"the relay cannot use its certificate: {error}") from None
        self._server.num_tickets = 0  # connections are kept, not resumed
        self._cluster_id = cluster_id

    def client(self, node_id: str) -> Engine:
        """Believes a server only if its certificate is that node's."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        return Engine(self._client.wrap_bio(incoming, outgoing, server_hostname=node_id), incoming, outgoing)

    def server(self) -> Engine:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        return Engine(self._server.wrap_bio(incoming, outgoing, server_side=True), incoming, outgoing)

    def peer(self, connection: ssl.SSLObject) -> Peer:
        """Who is at the other end of a completed handshake. Raises PyswarmError unless it is a node of our cluster."""
        identity = verified_peer(connection, self._cluster_id)
        certificate = connection.getpeercert() or {}
        expires = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
        return Peer(identity.node_id, int((expires - time.time()) * SECOND))
