"""Private keys: a node's (ECDSA, P-256) with the request to certify it, and those that roots may have."""

from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from core.errors import InvalidArgument

SigningKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_MIN_RSA = 2048
_MAX_RSA = 8192
MAX_CSR_SIZE = 8192
"""Bytes; an honest request has about 400."""


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: SigningKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def new_key_and_csr() -> tuple[bytes, bytes]:
    """A new key and a request for it, both PEM. The request states no name: the signer gives it."""
    key = new_key()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return key_pem(key), request.public_bytes(Encoding.PEM)


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises InvalidArgument unless `pem` is a private key on P-256."""
    key = _read(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidArgument("the private key is not one on the curve P-256")
    return key


def load_signing_key(pem: bytes) -> SigningKey:
    """A root's key: ours are on P-256, one that a user brings may be another that all nodes can check.

    Raises InvalidArgument.
    """
    key = _read(pem)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and _MIN_RSA <= key.key_size <= _MAX_RSA:
        return key
    raise InvalidArgument("the root's private key must be ECDSA on P-256 or P-384, or RSA of 2048 to 8192 bits")


def _read(pem: bytes) -> object:
    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidArgument("the private key cannot be read: give it in PEM, not encrypted") from None


def requested_key(csr_pem: bytes) -> ec.EllipticCurvePublicKey:
    """The one thing a request is read for: its public key, whose owner must have signed it.

    Raises InvalidArgument for anything too large, malformed, unsigned, or not on the curve P-256.
    """
    if len(csr_pem) > MAX_CSR_SIZE:
        raise InvalidArgument(f"the certificate request is larger than {MAX_CSR_SIZE} bytes")
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        key = request.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            if request.is_signature_valid:
                return key
            raise InvalidArgument("the certificate request is not signed with its own key")
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidArgument("the certificate request is malformed") from None
    raise InvalidArgument("the certificate request is not for a key on the curve P-256")
