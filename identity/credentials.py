"""A node's mutual-TLS credentials, which rotate while they are in use."""

import hashlib
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from core.errors import InvalidArgument
from identity import tls
from identity.certificates import (
    Leaf,
    fingerprint,
    issuing_root,
    leads_to,
    load_certificate,
    load_certificates,
    read_leaf,
)
from identity.channels import Option, secure_channel
from identity.keys import load_key
from identity.model import MANAGER_NAME, NodeIdentity, PemBundle


class Credentials:
    """Servers made from it show the newest certificate to each new connection; a channel keeps the one it was made
    with, so its owner subscribes and makes it again. gRPC itself speaks TLS 1.2 or later only.

    Raises InvalidArgument if key, certificate and root do not belong together. An expired certificate is accepted:
    its node must be able to ask for a new one.
    """

    def __init__(self, key_pem: bytes, cert_pem: bytes, root_pem: bytes) -> None:
        self._bundle = PemBundle(key_pem, cert_pem, root_pem)
        self._leaf = _checked(self._bundle)
        self._subscribers: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"Credentials({self._leaf})"

    @property
    def identity(self) -> NodeIdentity:
        return self._leaf.identity

    @property
    def not_before(self) -> int:
        """Nanoseconds since the epoch."""
        return self._leaf.not_before

    @property
    def expires_at(self) -> int:
        """Nanoseconds since the epoch."""
        return self._leaf.expires_at

    @property
    def issuer(self) -> str:
        """SHA-256 (hex) of the DER of the root that signed the certificate; empty if that is none we trust ourselves,
        but vouched for by one."""
        root = issuing_root(load_certificate(self._bundle.certificate), load_certificates(self._bundle.root))
        return fingerprint(root) if root is not None else ""

    @property
    def trust_root(self) -> str:
        """SHA-256 (hex) of the roots (PEM) that are trusted."""
        return hashlib.sha256(self._bundle.root).hexdigest()

    @property
    def bundle(self) -> PemBundle:
        """What to save, or to hand to this node's relay."""
        return self._bundle

    def check(self, bundle: PemBundle) -> Leaf:
        """Raises InvalidArgument unless `bundle` could take the place of what is used now: its parts belong together,
        and are this node's."""
        leaf = _checked(bundle)
        old, new = self._leaf.identity, leaf.identity
        if (new.node_id, new.cluster_id) != (old.node_id, old.cluster_id):
            raise InvalidArgument("the new certificate is for another node")
        return leaf

    def replace(self, bundle: PemBundle) -> None:
        """Takes effect for every new connection; then calls the subscribers. Raises as `check`, changing nothing."""
        leaf = self.check(bundle)
        self._bundle, self._leaf = bundle, leaf
        for notify in tuple(self._subscribers):
            notify()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls `callback` after each replacement; what is returned ends that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def server_credentials(self) -> grpc.ServerCredentials:
        """Mutual TLS: a client must show a certificate that our root has signed."""
        return self._dynamic(mutual=True)

    def bootstrap_server_credentials(self) -> grpc.ServerCredentials:
        """Server TLS only: for joiners, who have no certificate yet."""
        return self._dynamic(mutual=False)

    def channel(self, addr: str, server: str = MANAGER_NAME, options: Sequence[Option] = ()) -> grpc.aio.Channel:
        """A channel to `addr` (host:port) whose server must be `server`: a node id, or the name of a role.

        `options` override ours.
        """
        bundle = self._bundle
        credentials = grpc.ssl_channel_credentials(bundle.root, bundle.key, bundle.certificate)
        return secure_channel(addr, server, credentials, options)

    def tls_context(self, server_side: bool) -> ssl.SSLContext:
        return tls.tls_context(self._bundle, server_side)

    def _dynamic(self, *, mutual: bool) -> grpc.ServerCredentials:
        served = self._bundle

        def newest() -> Any:
            """Asked by gRPC, from a thread of its own, at every handshake. None, which its stubs forget: no change."""
            nonlocal served
            current = self._bundle
            if current is served:
                return None
            served = current
            return _configuration(current, mutual)

        return grpc.dynamic_ssl_server_credentials(_configuration(served, mutual), newest, mutual)


def _configuration(bundle: PemBundle, mutual: bool) -> grpc.ServerCertificateConfiguration:
    pair = (bundle.key, bundle.certificate)
    return grpc.ssl_server_certificate_configuration([pair], bundle.root if mutual else None)


def _checked(bundle: PemBundle) -> Leaf:
    chain, roots = load_certificates(bundle.certificate), load_certificates(bundle.root)
    if load_key(bundle.key).public_key() != chain[0].public_key():
        raise InvalidArgument("the private key is not the certificate's")
    if not leads_to(chain, roots):
        raise InvalidArgument("the certificate is not signed by the cluster's root")
    return read_leaf(bundle.certificate)
