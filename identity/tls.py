"""Mutual TLS for the relay, which is a process of its own: the standard library only."""

import os
import ssl
from typing import Any

from core.errors import PermissionDenied, Unauthenticated
from identity.model import NodeIdentity, PemBundle, identity_of


def tls_context(bundle: PemBundle, server_side: bool) -> ssl.SSLContext:
    """Shows our certificate and demands one signed by our root; TLS 1.2 or later.

    A client names the node (its id) or the role it expects as `server_hostname`. When the handshake is over, call
    `verified_peer`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=bundle.root.decode())
    # The ssl module reads keys from files only: this one is in memory and has no name that others could open.
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(bundle.key + bundle.certificate)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    return context


def verified_peer(connection: ssl.SSLObject | ssl.SSLSocket, cluster_id: str) -> NodeIdentity:
    """Who is at the other end. Raises Unauthenticated without a certificate, PermissionDenied for another cluster's."""
    certificate = connection.getpeercert()
    if not certificate:
        raise Unauthenticated("the other end has shown no certificate")
    fields: dict[str, list[str]] = {}
    subject: Any = certificate["subject"]
    for relative_name in subject:
        for name, value in relative_name:
            fields.setdefault(name, []).append(value)
    identity = identity_of(
        fields.get("commonName", []), fields.get("organizationalUnitName", []), fields.get("organizationName", [])
    )
    if identity.cluster_id != cluster_id:
        raise PermissionDenied(f"node {identity.node_id} belongs to another cluster")
    return identity
