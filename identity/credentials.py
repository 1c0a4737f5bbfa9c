"""What a node proves itself with, in every form the product needs, replaced while everything runs.

Servers pick up a new certificate with the next connection. A client's connection keeps the one it was opened with:
whoever holds a channel subscribes, opens a new one and closes the old.
"""

import ssl
import tempfile
from collections.abc import Callable
from contextlib import suppress

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from core.clock import SECOND
from core.errors import FailedPrecondition
from core.model import Role
from identity.model import ROLE_NAMES, NodeIdentity
from identity.root import issuer_fingerprint, load_certificate

ANY_MANAGER = ROLE_NAMES[Role.MANAGER]
"""A server name to ask for where any manager of the cluster will do."""

MAX_MESSAGE = 16 << 20
_CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
)
SERVER_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
)


class Credentials:
    """A key (PEM), its certificate, and the cluster's root. Raises FailedPrecondition if they do not fit together."""

    def __init__(self, key: bytes, certificate: bytes, root: bytes) -> None:
        self._subscribers: list[Callable[[], None]] = []
        self._set(key, certificate, root)

    def __repr__(self) -> str:
        return f"Credentials({self.identity!r})"

    def replace(self, key: bytes, certificate: bytes, root: bytes) -> None:
        """From now on; tells every subscriber. Raises FailedPrecondition, changing nothing, if they do not fit."""
        self._set(key, certificate, root)
        for subscriber in tuple(self._subscribers):
            subscriber()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back after every change; returns what ends it."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            with suppress(ValueError):
                self._subscribers.remove(callback)

        return unsubscribe

    def server_credentials(self) -> grpc.ServerCredentials:
        """Mutual TLS: a client without a certificate of this cluster's root gets no connection."""
        return grpc.dynamic_ssl_server_credentials(
            self._server_configuration(client_root=True), lambda: self._server_configuration(True), True
        )

    def bootstrap_server_credentials(self) -> grpc.ServerCredentials:
        """Server TLS only, for nodes that have no certificate yet."""
        return grpc.dynamic_ssl_server_credentials(
            self._server_configuration(client_root=False), lambda: self._server_configuration(False), False
        )

    def channel(self, address: str, server: str = ANY_MANAGER) -> grpc.aio.Channel:
        """To host:port. The server must be `server`: a node id, or ANY_MANAGER; host names are not looked at."""
        credentials = grpc.ssl_channel_credentials(self.root, self.key, self.certificate)
        options = (*_CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", server))
        return grpc.aio.secure_channel(address, credentials, options)

    def tls_context(self, *, server_side: bool) -> ssl.SSLContext:
        """Mutual TLS 1.2 or later for plain sockets. Who the peer is, the caller reads from its certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.root.decode())
        # The standard library reads a key from a file only: one without a name, in memory.
        with tempfile.TemporaryFile(dir="/dev/shm") as pair:
            pair.write(self.certificate + self.key)
            pair.flush()
            context.load_cert_chain(f"/proc/self/fd/{pair.fileno()}")
        return context

    def _server_configuration(self, client_root: bool) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration(
            [(self.key, self.certificate)], self.root if client_root else None
        )

    def _set(self, key: bytes, certificate: bytes, root: bytes) -> None:
        try:
            leaf = load_certificate(certificate)
            leaf.verify_directly_issued_by(load_certificate(root))
            private = serialization.load_pem_private_key(key, password=None)
        except Exception as error:
            raise FailedPrecondition(f"the node's certificate cannot be used: {type(error).__name__}") from None
        if private.public_key() != leaf.public_key():
            raise FailedPrecondition("the node's certificate is for another key")
        self.identity = identity_of(leaf)
        self.not_before = int(leaf.not_valid_before_utc.timestamp()) * SECOND
        self.expires_at = int(leaf.not_valid_after_utc.timestamp()) * SECOND
        self.issuer = issuer_fingerprint(root)
        self.key, self.certificate, self.root = key, certificate, root


def identity_of(certificate: x509.Certificate) -> NodeIdentity:
    """What a node's certificate says. Raises FailedPrecondition if it is no node's."""
    fields = {}
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME):
        values = certificate.subject.get_attributes_for_oid(oid)
        if len(values) != 1:
            raise FailedPrecondition("the certificate is no node's: it lacks a name, a role or a cluster")
        fields[oid] = str(values[0].value)
    roles = {name: role for role, name in ROLE_NAMES.items()}
    role = roles.get(fields[NameOID.ORGANIZATIONAL_UNIT_NAME])
    if role is None:
        raise FailedPrecondition("the certificate is no node's: its role is unknown")
    return NodeIdentity(fields[NameOID.COMMON_NAME], role, fields[NameOID.ORGANIZATION_NAME])
