"""A node's private key (ECDSA, P-256) and the request to certify it."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from core.errors import InvalidArgument

MAX_CSR_SIZE = 8192
"""Bytes; an honest request has about 400."""


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def new_key_and_csr() -> tuple[bytes, bytes]:
    """A new key and a request for it, both PEM. The request states no name: the signer gives it."""
    key = new_key()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return key_pem(key), request.public_bytes(Encoding.PEM)


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises InvalidArgument unless `pem` is a private key on P-256."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidArgument("the private key cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidArgument("the private key is not one on the curve P-256")
    return key


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
