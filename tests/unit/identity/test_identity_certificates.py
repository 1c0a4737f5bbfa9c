"""What certificates say, and who decides it."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from core.clock import SECOND
from core.errors import FailedPrecondition, InvalidArgument, Unauthenticated
from core.model import Role
from identity.certificates import read_leaf
from identity.keys import MAX_CSR_SIZE, new_key_and_csr, requested_key
from identity.model import NodeIdentity
from identity.root import create_root, issue
from tests.support.certificates import DAY, HOUR

NOW = 1_700_000_000 * SECOND
IDENTITY = NodeIdentity("n" * 25, Role.WORKER, "c" * 25)


def csr(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    names: dict[x509.ObjectIdentifier, str] | None = None,
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> bytes:
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in (names or {}).items()])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / SECOND, UTC)


def test_CA_03_names_in_a_request_are_ignored() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    malicious = csr(
        key,
        {
            NameOID.COMMON_NAME: "somebody-else",
            NameOID.ORGANIZATIONAL_UNIT_NAME: "swarm-manager",
            NameOID.ORGANIZATION_NAME: "another-cluster",
        },
        (
            x509.BasicConstraints(ca=True, path_length=None),
            x509.SubjectAlternativeName([x509.DNSName("swarm-manager"), x509.DNSName("example.org")]),
        ),
    )
    root, root_key = create_root(NOW)
    issued = issue(root, root_key, malicious, IDENTITY, NOW, DAY)
    certificate = x509.load_pem_x509_certificate(issued)

    assert read_leaf(issued).identity == IDENTITY
    assert certificate.public_key() == key.public_key()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [IDENTITY.node_id, "swarm-worker"]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert len(certificate.subject) == 3


def test_CA_03_the_root_signs_only_keys_that_their_owner_holds() -> None:
    good = csr(ec.generate_private_key(ec.SECP256R1()))
    der = bytearray(x509.load_pem_x509_csr(good).public_bytes(Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM)
    with pytest.raises(InvalidArgument, match="not signed with its own key"):
        requested_key(forged)


@pytest.mark.parametrize(
    ("request_pem", "complaint"),
    [
        (b"", "malformed"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "malformed"),
        (b"\xff" * 100, "malformed"),
        (b"x" * (MAX_CSR_SIZE + 1), "larger than"),
        (csr(rsa.generate_private_key(public_exponent=65537, key_size=2048)), "P-256"),
        (csr(ec.generate_private_key(ec.SECP384R1())), "P-256"),
    ],
)
def test_CA_03_bad_requests_are_refused(request_pem: bytes, complaint: str) -> None:
    root, root_key = create_root(NOW)
    with pytest.raises(InvalidArgument, match=complaint):
        issue(root, root_key, request_pem, IDENTITY, NOW, DAY)


def test_CA_05_a_certificate_begins_an_hour_ago_and_ends_when_it_was_told_to() -> None:
    root, root_key = create_root(NOW)
    leaf = read_leaf(issue(root, root_key, new_key_and_csr()[1], IDENTITY, NOW, 90 * DAY))
    assert leaf.not_before == NOW - HOUR
    assert leaf.expires_at == NOW + 90 * DAY


def test_CA_05_no_certificate_outlives_its_root() -> None:
    root, root_key = create_root(NOW)
    expiry = x509.load_pem_x509_certificate(root).not_valid_after_utc
    late = NOW + 20 * 365 * DAY - DAY
    issued = x509.load_pem_x509_certificate(issue(root, root_key, new_key_and_csr()[1], IDENTITY, late, 90 * DAY))
    assert issued.not_valid_after_utc == expiry
    with pytest.raises(FailedPrecondition, match="root certificate has expired"):
        issue(root, root_key, new_key_and_csr()[1], IDENTITY, late + 2 * DAY, 90 * DAY)


def test_the_root_lasts_twenty_years_and_signs_only_certificates() -> None:
    certificate = x509.load_pem_x509_certificate(create_root(NOW)[0])
    assert certificate.not_valid_before_utc == moment(NOW - HOUR)
    assert certificate.not_valid_after_utc == moment(NOW + 20 * 365 * DAY)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert not usage.digital_signature


def test_node_certificates_serve_both_ends_of_a_connection() -> None:
    root, root_key = create_root(NOW)
    issued = x509.load_pem_x509_certificate(issue(root, root_key, new_key_and_csr()[1], IDENTITY, NOW, DAY))
    issued.verify_directly_issued_by(x509.load_pem_x509_certificate(root))
    key = issued.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    uses = issued.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    assert isinstance(uses, x509.ExtendedKeyUsage)
    assert set(uses) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


@pytest.mark.parametrize(
    "names",
    [
        [],
        [(NameOID.COMMON_NAME, "n"), (NameOID.ORGANIZATION_NAME, "c")],
        [(NameOID.COMMON_NAME, "n"), (NameOID.ORGANIZATION_NAME, "c"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "swarm-ca")],
        [
            (NameOID.COMMON_NAME, "n"),
            (NameOID.ORGANIZATION_NAME, "c"),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "swarm-worker"),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "swarm-manager"),
        ],
    ],
)
def test_a_certificate_that_is_not_exactly_a_nodes_is_nobodys(names: list[tuple[x509.ObjectIdentifier, str]]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(oid, text) for oid, text in names])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(moment(NOW))
        .not_valid_after(moment(NOW + DAY))
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(Unauthenticated):
        read_leaf(certificate.public_bytes(Encoding.PEM))
