"""The cluster's root certificate, and the node certificates it signs (Swarm's profile)."""

import hashlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.clock import SECOND
from core.errors import InvalidArgument
from core.ids import base36
from identity.keys import key_pem, new_key, public_key_of
from identity.model import ROLE_NAMES, NodeIdentity

DIGEST_LENGTH = 50
ROOT_LIFETIME = timedelta(days=20 * 365)
BACKDATE = timedelta(hours=1)
"""So that a node whose clock is a little behind accepts its certificate."""


def create_root(now: int) -> tuple[bytes, bytes]:
    """A new self-signed root: (certificate, key), both PEM."""
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-ca")])
    certificate = (
        _builder(name, name, key.public_key(), now, ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key_pem(key)


def root_digest(root_pem: bytes) -> str:
    """SHA-256 of the root's DER, in 50 digits of base 36: what a join token pins."""
    return base36(int(issuer_fingerprint(root_pem), 16), DIGEST_LENGTH)


def issuer_fingerprint(root_pem: bytes) -> str:
    """SHA-256 of the root's DER, in hex. Raises InvalidArgument if it is no certificate."""
    return hashlib.sha256(load_certificate(root_pem).public_bytes(serialization.Encoding.DER)).hexdigest()


def load_certificate(pem: bytes) -> x509.Certificate:
    """Raises InvalidArgument if `pem` is no certificate."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise InvalidArgument("the certificate cannot be read") from None


def issue(root_pem: bytes, root_key: bytes, csr_pem: bytes, identity: NodeIdentity, now: int, lifetime: int) -> bytes:
    """A node's certificate (PEM) for the key in `csr_pem`, valid from an hour ago for `lifetime` (ns) from `now`.

    Every name in it comes from `identity`, none from the request. Raises InvalidArgument for a bad request.
    """
    public_key = public_key_of(csr_pem)
    root = load_certificate(root_pem)
    signer = serialization.load_pem_private_key(root_key, password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    role = ROLE_NAMES[identity.role]
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.cluster_id),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
            x509.NameAttribute(NameOID.COMMON_NAME, identity.node_id),
        ]
    )
    certificate = (
        _builder(subject, root.subject, public_key, now, timedelta(microseconds=lifetime // 1000))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(identity.node_id), x509.DNSName(role)]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(_issuer_key(root), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: int, lifetime: timedelta
) -> x509.CertificateBuilder:
    moment = datetime.fromtimestamp(now // SECOND, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - BACKDATE)
        .not_valid_after(moment + lifetime)
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


def _issuer_key(root: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
