"""Reading certificates, and who signed them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from core.clock import SECOND
from core.errors import InvalidArgument
from identity.model import NodeIdentity, identity_of


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node's certificate: whose it is, and when it is valid (ns)."""

    identity: NodeIdentity
    not_before: int
    expires_at: int


def load_certificate(pem: bytes) -> x509.Certificate:
    """The first certificate in `pem`. Raises InvalidArgument if there is none."""
    return load_certificates(pem)[0]


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """All of them, one at least. Raises InvalidArgument."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise InvalidArgument("the certificate cannot be read") from None


def to_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def signed_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def issuing_root(leaf: x509.Certificate, roots: Iterable[x509.Certificate]) -> x509.Certificate | None:
    """The one of `roots` whose key signed `leaf`."""
    return next((root for root in roots if signed_by(leaf, root)), None)


def leads_to(chain: Sequence[x509.Certificate], roots: Iterable[x509.Certificate]) -> bool:
    """Whether one of `roots` signed the first of `chain`, or the second, which signed the first."""
    trusted = list(roots)
    if issuing_root(chain[0], trusted) is not None:
        return True
    return len(chain) == 2 and signed_by(chain[0], chain[1]) and issuing_root(chain[1], trusted) is not None


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 (hex) of its DER."""
    return certificate.fingerprint(hashes.SHA256()).hex()


@lru_cache(maxsize=16)
def root_fingerprint(pem: bytes) -> str:
    """The fingerprint of the certificate in `pem`. Remembered: it is asked for at every change of a node."""
    return fingerprint(load_certificate(pem))


def validity_of(certificate: x509.Certificate) -> tuple[int, int]:
    """From when and until when, in nanoseconds since the epoch."""
    return _nanoseconds(certificate.not_valid_before_utc), _nanoseconds(certificate.not_valid_after_utc)


@lru_cache(maxsize=16384)
def read_leaf(pem: bytes) -> Leaf:
    """Remembered per certificate: it is asked for on every RPC.

    Raises InvalidArgument for no certificate, Unauthenticated for one that is not of a cluster's node.
    """
    certificate = load_certificate(pem)
    identity = identity_of(
        _texts(certificate, NameOID.COMMON_NAME),
        _texts(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME),
        _texts(certificate, NameOID.ORGANIZATION_NAME),
    )
    return Leaf(identity, *validity_of(certificate))


def _texts(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND
