"""One root succeeds another: who believes whom, on real connections, and which roots may succeed."""

import asyncio
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from core.clock import SECOND
from core.errors import FailedPrecondition, InvalidArgument, Unavailable
from core.model import Role
from identity.certificates import fingerprint, load_certificate
from identity.credentials import Credentials
from identity.keys import SigningKey, key_pem, new_key, new_key_and_csr
from identity.model import NodeIdentity
from identity.root import check_root, create_root, cross_sign, issue
from tests.support.certificates import DAY, EverythingServed, Issuer, all_methods, call, serving

PROBE = next(method for method in all_methods() if method.path.endswith("/Probe"))


@dataclass(frozen=True)
class Root:
    cert: bytes
    key: bytes

    @property
    def pair(self) -> tuple[bytes, bytes]:
        return self.cert, self.key


def own_root(
    now: int,
    key: SigningKey | None = None,
    *,
    authority: bool = True,
    path_length: int | None = None,
    lifetime: int = 400 * DAY,
    name: str = "our company",
) -> Root:
    """As a user may make one: of a name of its own, without key identifiers."""
    signing = key or new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(signing.public_key())
        .serial_number(1)
        .not_valid_before(datetime.fromtimestamp((now - 30 * DAY) // SECOND, UTC))
        .not_valid_after(datetime.fromtimestamp((now - 30 * DAY + lifetime) // SECOND, UTC))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
        .sign(signing, hashes.SHA256())
    )
    return Root(certificate.public_bytes(Encoding.PEM), key_pem(signing))


class Succession:
    """A cluster whose root was to be succeeded by one, and then by another."""

    def __init__(self, successor: Root | None = None) -> None:
        self.issuer = Issuer()
        self.old = Root(self.issuer.root, self.issuer.key)
        self.first = Root(*create_root(self.issuer.now))
        self.last = successor or Root(*create_root(self.issuer.now))

    def node(self, signer: Root, *trusted: Root, crossed: bool = True) -> Credentials:
        key, csr = new_key_and_csr()
        identity = NodeIdentity("n" * 25, Role.MANAGER, self.issuer.cluster_id)
        chain = issue(signer.cert, signer.key, csr, identity, self.issuer.now, DAY)
        if signer is not self.old and crossed:
            chain += cross_sign(self.old.cert, self.old.key, signer.cert, self.issuer.now)
        return Credentials(key, chain, b"".join(root.cert for root in trusted))

    def nodes(self) -> dict[str, Credentials]:
        """One of each kind that there is on the way."""
        return {
            "old": self.node(self.old, self.old),
            "old, told": self.node(self.old, self.old, self.last),
            "of the one given up": self.node(self.first, self.old, self.last),
            "new": self.node(self.last, self.old, self.last),
            "new alone": self.node(self.last, self.last),
            "renewed since": self.node(self.last, self.last, crossed=False),
        }


ON_THE_WAY = ("old", "old, told", "of the one given up", "new")
AT_THE_END = ("new", "new alone", "renewed since")
KINDS = [None, own_root(Issuer().now), own_root(Issuer().now, rsa.generate_private_key(65537, 2048))]


async def meet(client: Credentials, server: Credentials) -> None:
    """As every RPC between nodes."""
    async with serving(server.server_credentials(), EverythingServed()) as address, client.channel(address) as channel:
        await call(channel, PROBE)


async def meet_as_relays(client: Credentials, server: Credentials) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server.tls_context(server_side=True))
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        context = client.tls_context(server_side=False)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="swarm-manager")
        try:
            assert await reader.read() == b"hello"
        finally:
            writer.close()


@pytest.mark.parametrize("successor", KINDS, ids=["ours", "a user's", "a user's, RSA"])
async def test_CA_06_nodes_of_all_kinds_believe_one_another_while_one_root_succeeds_another(
    successor: Root | None,
) -> None:
    nodes = Succession(successor).nodes()
    for group in (ON_THE_WAY, AT_THE_END):
        for client in group:
            for server in group:
                await meet(nodes[client], nodes[server])
                await meet_as_relays(nodes[client], nodes[server])


async def test_CA_06_in_the_end_nobody_believes_certificates_of_the_old_root() -> None:
    nodes = Succession().nodes()
    for late in ("old", "old, told", "of the one given up"):
        for other in ("new alone", "renewed since"):
            with pytest.raises(Unavailable):
                await meet(nodes[late], nodes[other])
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                await meet_as_relays(nodes[late], nodes[other])


def test_CA_06_credentials_say_whose_certificate_they_hold_and_whom_they_trust() -> None:
    succession = Succession()
    nodes = succession.nodes()
    last = fingerprint(load_certificate(succession.last.cert))
    assert nodes["old"].issuer == fingerprint(load_certificate(succession.old.cert)) == nodes["old, told"].issuer
    assert nodes["of the one given up"].issuer == ""
    assert {nodes[kind].issuer for kind in AT_THE_END} == {last}
    assert nodes["new"].trust_root == nodes["old, told"].trust_root != nodes["old"].trust_root
    assert nodes["new alone"].trust_root == nodes["renewed since"].trust_root != nodes["new"].trust_root


def test_CA_06_whom_to_trust_changes_only_to_roots_that_stand_behind_the_own_certificate() -> None:
    succession = Succession()
    nodes = succession.nodes()
    both = succession.old.cert + succession.last.cert
    old, new, given_up = nodes["old"], nodes["new"], nodes["of the one given up"]
    old.replace(replace(old.bundle, root=both))
    assert old.trust_root == nodes["old, told"].trust_root
    new.replace(replace(new.bundle, root=succession.last.cert))
    assert new.bundle.root == succession.last.cert
    for late in (old, given_up):
        with pytest.raises(InvalidArgument, match="not signed by the cluster's root"):
            late.replace(replace(late.bundle, root=succession.last.cert))
        assert late.bundle.root == both


def test_CA_06_an_expired_root_signs_no_successor() -> None:
    now = Issuer().now
    old = own_root(now, lifetime=DAY)
    with pytest.raises(FailedPrecondition, match="has expired"):
        cross_sign(old.cert, old.key, create_root(now)[0], now)


def test_CA_06_a_users_root_is_kept_as_it_is() -> None:
    now = Issuer().now
    for root in (own_root(now), own_root(now, ec.generate_private_key(ec.SECP384R1())), own_root(now, path_length=1)):
        assert check_root(b"a comment\n" + root.cert, root.key, now) == (root.cert, root.key)


def test_CA_06_a_root_that_could_not_serve_is_refused_with_the_reason() -> None:
    now = Issuer().now
    good, other = own_root(now), own_root(now)
    leaf = Issuer().credentials().bundle
    bad = {
        "cannot be read": (b"", good.key),
        "key cannot be read": (good.cert, b""),
        "without intermediate": (good.cert + other.cert, good.key),
        "one self-signed": (leaf.certificate, leaf.key),
        "is not the root certificate's": (good.cert, other.key),
        "not valid now": own_root(now, lifetime=DAY).pair,
        "CA:TRUE": own_root(now, authority=False).pair,
        "path length is 0": own_root(now, path_length=0).pair,
    }
    for reason, (cert, key) in bad.items():
        with pytest.raises(InvalidArgument, match=reason):
            check_root(cert, key, now)


def test_CA_06_a_key_that_nodes_could_not_check_is_refused() -> None:
    now = Issuer().now
    good = own_root(now)
    weak: list[SigningKey] = [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP521R1())]
    for key in weak:
        with pytest.raises(InvalidArgument, match="must be ECDSA"):
            check_root(good.cert, key_pem(key), now)
    with pytest.raises(InvalidArgument, match="must be ECDSA"):
        check_root(good.cert, key_pem(ed25519.Ed25519PrivateKey.generate()), now)  # type: ignore[arg-type]
