"""TLSInfo: the root of trust as Docker shows it."""

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pyswarm.engineapi.wire.json_types import Json


@dataclass(frozen=True, slots=True)
class TrustRoot:
    issuer: str
    """What `Node.certificate_issuer` says of a certificate that this root signed."""
    info: Json
    """TLSInfo."""


@lru_cache(maxsize=4)
def trust_root(pem: bytes) -> TrustRoot:
    root = x509.load_pem_x509_certificate(pem)
    public_key = root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    info = {
        "TrustRoot": pem.decode(),
        "CertIssuerSubject": base64.b64encode(root.subject.public_bytes()).decode(),
        "CertIssuerPublicKey": base64.b64encode(public_key).decode(),
    }
    return TrustRoot(issuer=hashlib.sha256(root.public_bytes(Encoding.DER)).hexdigest(), info=info)
