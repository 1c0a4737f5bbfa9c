"""Mutual TLS that rotates while it is in use, on real connections."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest

from core.errors import InvalidArgument, PermissionDenied, Unauthenticated, Unavailable, Untrusted
from core.model import Role
from identity.credentials import Credentials
from identity.tls import verified_peer
from tests.support.certificates import DAY, EverythingServed, Issuer, Method, all_methods, call, serving

PROBE: Method = next(method for method in all_methods() if method.path.endswith("/Probe"))
GET_ROOT: Method = next(method for method in all_methods() if method.path.endswith("/GetRootCA"))


async def reach(caller: Credentials, address: str, server: str, method: Method = PROBE) -> None:
    async with caller.channel(address, server) as channel:
        await call(channel, method)


def test_key_certificate_and_root_must_belong_together() -> None:
    issuer = Issuer()
    one, other = issuer.credentials().bundle, issuer.credentials().bundle
    with pytest.raises(InvalidArgument, match="private key is not the certificate's"):
        Credentials(other.key, one.certificate, one.root)
    with pytest.raises(InvalidArgument, match="not signed by the cluster's root"):
        Credentials(one.key, one.certificate, Issuer().root)
    with pytest.raises(InvalidArgument):
        Credentials(one.key, b"", one.root)
    with pytest.raises(InvalidArgument):
        Credentials(b"", one.certificate, one.root)


def test_a_replacement_must_be_the_same_nodes() -> None:
    issuer = Issuer()
    credentials = issuer.credentials("a" * 25)
    before = credentials.bundle
    stranger = issuer.credentials("b" * 25).bundle
    with pytest.raises(InvalidArgument, match="another node"):
        credentials.replace(stranger)
    assert credentials.bundle is before


def test_subscribers_hear_of_every_replacement_until_they_leave() -> None:
    issuer = Issuer()
    credentials = issuer.credentials("a" * 25)
    heard: list[Role] = []
    leave = credentials.subscribe(lambda: heard.append(credentials.identity.role))
    promoted, demoted = issuer.credentials("a" * 25, Role.MANAGER).bundle, issuer.credentials("a" * 25).bundle
    credentials.replace(promoted)
    credentials.replace(demoted)
    leave()
    credentials.replace(promoted)
    assert heard == [Role.MANAGER, Role.WORKER]


async def test_a_server_is_held_to_its_node_id_or_role() -> None:
    issuer = Issuer()
    server, caller = issuer.credentials("a" * 25, Role.MANAGER), issuer.credentials()
    async with serving(server.server_credentials(), EverythingServed()) as address:
        await reach(caller, address, "a" * 25)
        await reach(caller, address, "swarm-manager")
        for wrong in ("b" * 25, "swarm-worker", "localhost", "127.0.0.1"):
            with pytest.raises(Unavailable):
                await reach(caller, address, wrong)


async def test_a_worker_cannot_pass_for_a_manager() -> None:
    issuer = Issuer()
    async with serving(issuer.credentials().server_credentials(), EverythingServed()) as address:
        await reach(issuer.credentials(), address, "swarm-worker")
        with pytest.raises(Unavailable):
            await reach(issuer.credentials(), address, "swarm-manager")


async def test_neither_end_accepts_another_root() -> None:
    ours, theirs = Issuer("c" * 25), Issuer("c" * 25)
    everything = EverythingServed()
    async with serving(ours.credentials(role=Role.MANAGER).server_credentials(), everything) as address:
        with pytest.raises(Untrusted, match="belongs to another cluster"):
            await reach(theirs.credentials(), address, "swarm-manager")
        impostor = theirs.credentials()
        trusting = grpc.ssl_channel_credentials(ours.root, impostor.bundle.key, impostor.bundle.certificate)
        options = [("grpc.ssl_target_name_override", "swarm-manager")]
        async with grpc.aio.secure_channel(address, trusting, options=options) as channel:
            with pytest.raises(Unavailable):
                await call(channel, PROBE)
    assert everything.reached == []


async def test_rotation_is_seen_by_new_connections_and_ends_no_old_one() -> None:
    issuer = Issuer()
    server = issuer.credentials("a" * 25, now=issuer.now - 30 * DAY, lifetime=2 * DAY)
    caller = issuer.credentials()
    async with serving(server.server_credentials(), EverythingServed()) as address:
        with pytest.raises(Unavailable):  # it has expired
            await reach(caller, address, "a" * 25)
        fresh = issuer.credentials("a" * 25).bundle
        server.replace(fresh)
        async with caller.channel(address, "a" * 25) as old:
            await call(old, PROBE)
            promoted = issuer.credentials("a" * 25, Role.MANAGER).bundle
            server.replace(promoted)
            await reach(caller, address, "swarm-manager")
            await call(old, PROBE)


async def test_the_bootstrap_server_asks_for_no_certificate_and_rotates_too() -> None:
    issuer = Issuer()
    server = issuer.credentials("a" * 25)
    anyone = grpc.ssl_channel_credentials(issuer.root)

    async def ask(name: str) -> None:
        options = [("grpc.ssl_target_name_override", name), ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.secure_channel(address, anyone, options=options) as channel:
            await call(channel, GET_ROOT)

    async with serving(server.bootstrap_server_credentials(), EverythingServed()) as address:
        await ask("swarm-worker")
        with pytest.raises(Unavailable):
            await ask("swarm-manager")
        promoted = issuer.credentials("a" * 25, Role.MANAGER).bundle
        server.replace(promoted)
        await ask("swarm-manager")


def old_tls(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    return context


async def negotiated(address: str, context: ssl.SSLContext) -> str | None:
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    version: str | None = writer.get_extra_info("ssl_object").version()
    writer.transport.abort()
    return version


@asynccontextmanager
async def listening(context: ssl.SSLContext) -> AsyncIterator[str]:
    listener = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with listener:
        yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_before_1_2_is_refused() -> None:
    server = Issuer().credentials()
    lenient = server.tls_context(server_side=True)
    lenient.verify_mode = ssl.CERT_NONE
    lenient.set_ciphers("ALL:@SECLEVEL=0")
    async with (
        serving(server.bootstrap_server_credentials(), EverythingServed()) as grpc_address,
        listening(lenient) as relay_address,
    ):
        for address in (grpc_address, relay_address):
            assert await negotiated(address, old_tls(ssl.TLSVersion.TLSv1_2)) == "TLSv1.2"
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                await negotiated(address, old_tls(ssl.TLSVersion.TLSv1_1))
        lenient.minimum_version = ssl.TLSVersion.TLSv1  # the refusals were not the caller's doing
        assert await negotiated(relay_address, old_tls(ssl.TLSVersion.TLSv1_1)) == "TLSv1.1"


async def relay_pair(server: Credentials, client: Credentials, name: str) -> tuple[Any, Any]:
    """The two ends' ssl objects of one connection between relays, after a message each way."""
    ends: asyncio.Queue[Any] = asyncio.Queue()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(1))
        ends.put_nowait(writer.get_extra_info("ssl_object"))
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=server.tls_context(server_side=True))
    try:
        port = listener.sockets[0].getsockname()[1]
        context = client.tls_context(server_side=False)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        writer.write(b"?")
        if await reader.read(1) != b"?":
            raise ConnectionResetError("the server has closed the connection")
        near, far = writer.get_extra_info("ssl_object"), await ends.get()
        writer.close()
        return near, far
    finally:
        listener.close()


async def test_relays_know_each_other_and_their_cluster() -> None:
    issuer = Issuer()
    server, client = issuer.credentials("a" * 25), issuer.credentials("b" * 25, Role.MANAGER)
    near, far = await relay_pair(server, client, "a" * 25)
    assert verified_peer(near, issuer.cluster_id) == server.identity
    assert verified_peer(far, issuer.cluster_id) == client.identity
    with pytest.raises(PermissionDenied, match="another cluster"):
        verified_peer(far, "another")


async def test_relays_refuse_a_wrong_node_another_root_and_an_expired_certificate() -> None:
    issuer = Issuer()
    server, client = issuer.credentials("a" * 25), issuer.credentials("b" * 25)
    expired = issuer.credentials("a" * 25, now=issuer.now - 30 * DAY, lifetime=DAY)
    for bad_server, bad_client in (
        (server, Issuer().credentials()),
        (Issuer().credentials("a" * 25), client),
        (server, expired),
        (expired, client),
    ):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await relay_pair(bad_server, bad_client, "a" * 25)
    with pytest.raises(ssl.SSLCertVerificationError):
        await relay_pair(server, client, "c" * 25)


def test_a_connection_that_shows_no_certificate_is_nobodys() -> None:
    class Silent:
        def getpeercert(self) -> dict[str, str]:
            return {}

    silent: Any = Silent()
    with pytest.raises(Unauthenticated):
        verified_peer(silent, "c" * 25)


def test_no_key_stays_behind_in_an_open_file() -> None:
    Issuer().credentials().tls_context(server_side=False)
    assert not [name for name in open_files() if "memfd:" in name]
    with os.fdopen(os.memfd_create("certificate")):
        assert [name for name in open_files() if "memfd:" in name]


def open_files() -> list[str]:
    """Of this process, whose other threads, and garbage of its connections, open and close some all the time."""
    found = []
    for file in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{file}"))
    return found
