"""The cluster's own certificate authority: one root that signs every node's certificate."""

import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.clock import SECOND
from core.errors import FailedPrecondition
from core.ids import base36
from identity.certificates import load_certificate, validity_of
from identity.keys import key_pem, load_key, new_key, requested_key
from identity.model import NodeIdentity, role_name

HOUR = 3600 * SECOND
BACKDATE = HOUR
"""Certificates begin this long before they are made, for nodes whose clocks are behind."""
ROOT_LIFETIME = 20 * 365 * 24 * HOUR
ROOT_NAME = "swarm-ca"


def create_root(now: int) -> tuple[bytes, bytes]:
    """A new root: its certificate and its private key, both PEM."""
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ROOT_NAME)])
    certificate = (
        _builder(name, name, key.public_key(), now - BACKDATE, now + ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM), key_pem(key)


def root_digest(cert_pem: bytes) -> str:
    """SHA-256 of the PEM text as it stands, as 50 digits of base 36: the middle part of a join token."""
    return base36(int.from_bytes(hashlib.sha256(cert_pem).digest(), "big"), 50)


def issue(
    root_cert: bytes, root_key: bytes, csr_pem: bytes, identity: NodeIdentity, now: int, lifetime_ns: int
) -> bytes:
    """A certificate (PEM) for the request's public key, saying `identity` whatever else the request says.

    Valid from an hour before `now` until `lifetime_ns` after it, but never longer than the root.
    Raises InvalidArgument for a bad request, FailedPrecondition if the root has expired.
    """
    root = load_certificate(root_cert)
    expires = min(now + lifetime_ns, validity_of(root)[1])
    if expires <= now:
        raise FailedPrecondition("the cluster's root certificate has expired: make a new cluster")
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.cluster_id),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role_name(identity.role)),
            x509.NameAttribute(NameOID.COMMON_NAME, identity.node_id),
        ]
    )
    names = [x509.DNSName(identity.node_id), x509.DNSName(role_name(identity.role))]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer_key = load_key(root_key)
    certificate = (
        _builder(subject, root.subject, requested_key(csr_pem), now - BACKDATE, expires)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: int, expires: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_seconds(begins))
        .not_valid_after(_seconds(expires))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _seconds(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // SECOND, UTC)
