"""TLSInfo: whom the cluster and its nodes trust, and who signs, as Docker shows it."""

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.model import Node, RootCA
from manager.ca import signing
from pyswarm.engineapi.wire.json_types import Json


@dataclass(frozen=True, slots=True)
class Roots:
    """What nodes may say that they hold and trust, by their words for it."""

    issuers: dict[str, Json]
    trusted: dict[str, str]


@lru_cache(maxsize=4)
def roots_of(root_ca: RootCA) -> Roots:
    """The roots that are or will be the cluster's."""
    now = signing(root_ca)
    return Roots(
        issuers={_digest_of(pem): _issuer(pem) for pem in (root_ca.cert, now.cert)},
        trusted={_sha256(pem): pem.decode() for pem in (root_ca.cert, now.cert, now.trusted)},
    )


def show_cluster_tls(root_ca: RootCA) -> Json:
    """While one root succeeds another: the one to be trusted by all still, the issuer that signs from now on."""
    return {"TrustRoot": root_ca.cert.decode(), **_issuer(signing(root_ca).cert)}


def show_node_tls(node: Node, roots: Roots) -> Json:
    """Empty as far as the node has not said, or has said something that is not the cluster's."""
    if node.description is None:
        return {}
    trusted = roots.trusted.get(node.description.trust_root)
    issuer = roots.issuers.get(node.description.certificate_issuer, {})
    return {**({"TrustRoot": trusted} if trusted else {}), **issuer}


@lru_cache(maxsize=8)
def _issuer(pem: bytes) -> Json:
    root = x509.load_pem_x509_certificate(pem)
    public_key = root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "CertIssuerSubject": base64.b64encode(root.subject.public_bytes()).decode(),
        "CertIssuerPublicKey": base64.b64encode(public_key).decode(),
    }


def _digest_of(pem: bytes) -> str:
    return _sha256(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
