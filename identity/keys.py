"""Private keys and the requests for their certificates. ECDSA P-256, PEM."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.errors import InvalidArgument

MAX_CSR = 8192
"""Bytes. A request for a P-256 key has about 400."""


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def new_key_and_csr() -> tuple[bytes, bytes]:
    """(key, request), both PEM. The request names nobody: names come from the issuer."""
    key = new_key()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return key_pem(key), request.public_bytes(serialization.Encoding.PEM)


def public_key_of(csr_pem: bytes) -> ec.EllipticCurvePublicKey:
    """The key a request proves to hold; all else in it is ignored. Raises InvalidArgument if it is no such request."""
    if len(csr_pem) > MAX_CSR:
        raise InvalidArgument(f"the certificate request has {len(csr_pem)} bytes; {MAX_CSR} are allowed")
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        valid = request.is_signature_valid
        key = request.public_key()
    except ValueError:
        raise InvalidArgument("the certificate request cannot be read") from None
    if not valid or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidArgument("the certificate request must be signed by its own ECDSA P-256 key")
    return key
