"""The cluster's own authority: one root that signs every node's certificate, and how another succeeds it."""

import hashlib
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.clock import SECOND
from core.errors import FailedPrecondition, InvalidArgument
from core.ids import base36
from identity.certificates import load_certificate, load_certificates, signed_by, to_pem, validity_of
from identity.keys import key_pem, load_signing_key, new_key, requested_key
from identity.model import NodeIdentity, role_name

HOUR = 3600 * SECOND
BACKDATE = HOUR
"""Certificates begin this long before they are made, for nodes whose clocks are behind."""
ROOT_LIFETIME = 20 * 365 * 24 * HOUR
ROOT_NAME = "swarm-ca"

E = TypeVar("E", bound=x509.ExtensionType)


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
    return to_pem(certificate), key_pem(key)


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
    _check_not_expired(expires, now)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.cluster_id),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role_name(identity.role)),
            x509.NameAttribute(NameOID.COMMON_NAME, identity.node_id),
        ]
    )
    names = [x509.DNSName(identity.node_id), x509.DNSName(role_name(identity.role))]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer_key = load_signing_key(root_key)
    certificate = (
        _builder(subject, root.subject, requested_key(csr_pem), now - BACKDATE, expires)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(_issuers_key_id(root), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return to_pem(certificate)


def check_root(certificate: bytes, private_key: bytes, now: int) -> tuple[bytes, bytes]:
    """A root that a user brings, as we keep it: certificate and key, both PEM.

    Raises InvalidArgument unless it is one self-signed certificate of an authority, valid now, of which this is the
    key, and with which a successor could be signed one day.
    """
    certificates = load_certificates(certificate)
    root, key = certificates[0], load_signing_key(private_key)
    begins, expires = validity_of(root)
    if len(certificates) != 1 or not signed_by(root, root):
        raise InvalidArgument("the root certificate must be one self-signed certificate, without intermediate ones")
    if key.public_key() != root.public_key():
        raise InvalidArgument("the private key is not the root certificate's")
    if not begins <= now < expires:
        raise InvalidArgument("the root certificate is not valid now: it has expired, or has yet to begin")
    constraints = _extension(root, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise InvalidArgument("the root certificate is not one of an authority: it needs the basic constraint CA:TRUE")
    if constraints.path_length == 0:
        raise InvalidArgument("the root certificate's path length is 0, so that no successor could ever be signed")
    usage = _extension(root, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise InvalidArgument("the root certificate's key usage does not include signing certificates")
    return to_pem(root), key_pem(key)


def cross_sign(root_cert: bytes, root_key: bytes, successor: bytes, now: int) -> bytes:
    """The name and the key of the root `successor`, signed by the one that it succeeds: a certificate (PEM) by which
    who trusts only the old root believes the new one's leaves.

    Raises FailedPrecondition if the old root has expired.
    """
    old, new = load_certificate(root_cert), load_certificate(successor)
    expires = min(validity_of(old)[1], validity_of(new)[1])
    _check_not_expired(expires, now)
    key = load_signing_key(root_key)
    own_id = _extension(new, x509.SubjectKeyIdentifier)
    certificate = (
        _builder(new.subject, old.subject, new.public_key(), now - BACKDATE, expires)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(own_id or x509.SubjectKeyIdentifier.from_public_key(new.public_key()), critical=False)
        .add_extension(_issuers_key_id(old), critical=False)
        .sign(key, hashes.SHA256())
    )
    return to_pem(certificate)


def _check_not_expired(expires: int, now: int) -> None:
    if expires <= now:
        raise FailedPrecondition("the cluster's root certificate has expired: make a new cluster")


def _issuers_key_id(root: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """What tells roots of one name apart."""
    key_id = _extension(root, x509.SubjectKeyIdentifier)
    if key_id is not None:
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())  # type: ignore[arg-type]


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, begins: int, expires: int
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
