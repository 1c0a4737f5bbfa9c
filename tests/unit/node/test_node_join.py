"""Joining, against real servers: a cluster's own, another cluster's, and programs that are none."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import grpc
import pytest

from core.clock import ManualClock
from core.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotLeader,
    PermissionDenied,
    PyswarmError,
    Unavailable,
)
from core.model import Availability, Role
from core.rpc import abort
from identity.access import Context
from identity.certificates import root_fingerprint
from identity.credentials import Credentials
from identity.model import NodeIdentity
from identity.root import cross_sign, issue
from identity.tokens import new_token
from proto import ca_pb2 as pb
from proto.ca_pb2_grpc import BootstrapServicer, add_BootstrapServicer_to_server
from pyswarm.node.addresses import bootstrap_address
from pyswarm.node.join import join
from tests.support.certificates import DAY, Issuer

NODE = "n" * 25


class PlayedBootstrap(BootstrapServicer):
    """Answers a joiner, and remembers what it was told."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.root = issuer.root
        self.answered_root = issuer.root
        self.failures: list[PyswarmError] = []
        self.told: list[pb.IssueCertificateRequest] = []

    async def GetRootCA(self, request: pb.GetRootCARequest, context: Context) -> pb.GetRootCAResponse:
        return pb.GetRootCAResponse(cert=self.root)

    async def IssueCertificate(
        self, request: pb.IssueCertificateRequest, context: Context
    ) -> pb.IssueCertificateResponse:
        self.told.append(request)
        if self.failures:
            await abort(context, self.failures.pop(0))
        identity = NodeIdentity(NODE, Role.WORKER, self.issuer.cluster_id)
        leaf = issue(self.issuer.root, self.issuer.key, request.csr, identity, self.issuer.now, DAY)
        return pb.IssueCertificateResponse(node_id=NODE, certificate=leaf, root=self.answered_root)


@asynccontextmanager
async def serving(bootstrap: PlayedBootstrap, credentials: Credentials) -> AsyncIterator[str]:
    """The managers' address, whose next port serves `bootstrap`."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_BootstrapServicer_to_server(bootstrap, server)
    port = server.add_secure_port("127.0.0.1:0", credentials.bootstrap_server_credentials())
    await server.start()
    try:
        yield f"127.0.0.1:{port - 1}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def listening(
    accepted: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[str]:
    """A program that is no manager."""
    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1] - 1}"


async def try_join(token: str, *managers: str, now: int | None = None, timeout: float = 30) -> Credentials:
    clock = ManualClock(time.time_ns() if now is None else now)
    return await join(managers, token, Availability.DRAIN, clock, timeout)


async def test_CA_01_a_node_joins_with_nothing_but_a_token() -> None:
    issuer = Issuer()
    bootstrap, token = PlayedBootstrap(issuer), new_token(issuer.root)
    async with serving(bootstrap, issuer.credentials(role=Role.MANAGER)) as address:
        credentials = await try_join(f" {token}\n", address)
    assert credentials.identity == NodeIdentity(NODE, Role.WORKER, issuer.cluster_id)
    assert credentials.bundle.root == issuer.root
    (told,) = bootstrap.told
    assert (told.token, told.availability) == (token, Availability.DRAIN)


async def test_CA_01_another_clusters_manager_is_told_nothing() -> None:
    ours, theirs = Issuer(), Issuer()
    bootstrap = PlayedBootstrap(theirs)
    async with serving(bootstrap, theirs.credentials(role=Role.MANAGER)) as address:
        with pytest.raises(PermissionDenied, match=r"another cluster.*or from before its root was rotated.*join-token"):
            await try_join(new_token(ours.root), address)
    assert bootstrap.told == []


async def test_CA_01_who_only_repeats_our_root_is_told_nothing() -> None:
    """In between sits somebody who has the root certificate, which is no secret, but none that it signed."""
    ours, theirs = Issuer(), Issuer()
    bootstrap = PlayedBootstrap(theirs)
    bootstrap.root = ours.root
    async with serving(bootstrap, theirs.credentials(role=Role.MANAGER)) as address:
        with pytest.raises(PermissionDenied, match="somebody may sit in between"):
            await try_join(new_token(ours.root), address)
    assert bootstrap.told == []


@pytest.mark.parametrize("honest_connections", [2, 3])
async def test_CA_01_who_takes_over_once_the_root_is_known_is_told_nothing(honest_connections: int) -> None:
    ours, theirs = Issuer(), Issuer()
    honest, impostor = PlayedBootstrap(ours), PlayedBootstrap(theirs)
    connections: list[str] = []
    async with (
        serving(honest, ours.credentials(role=Role.MANAGER)) as good,
        serving(impostor, theirs.credentials(role=Role.MANAGER)) as evil,
        taken_over(good, honest_connections, evil, connections) as address,
    ):
        with pytest.raises((Unavailable, DeadlineExceeded, PermissionDenied)):
            await try_join(new_token(ours.root), address, timeout=3)
    assert connections[: honest_connections + 1] == [good] * honest_connections + [evil]
    assert honest.told == impostor.told == []


async def test_a_manager_that_renews_its_certificate_meanwhile_is_asked_again() -> None:
    issuer = Issuer()
    connections: list[str] = []
    async with (
        serving(PlayedBootstrap(issuer), issuer.credentials(role=Role.MANAGER)) as before,
        serving(PlayedBootstrap(issuer), issuer.credentials(role=Role.MANAGER)) as after,
        taken_over(before, 1, after, connections) as address,
    ):
        credentials = await try_join(new_token(issuer.root), address)
    assert credentials.bundle.root == issuer.root
    assert before in connections


@asynccontextmanager
async def taken_over(first: str, count: int, then: str, connections: list[str]) -> AsyncIterator[str]:
    """Passes the first `count` connections on to `first`, later ones to `then`; notes which in `connections`."""

    async def relayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = first if len(connections) < count else then
        connections.append(target)
        host, port = bootstrap_address(target).split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pour(reader, far_writer), pour(far_reader, writer))

    async with listening(relayed) as address:
        yield address


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_CA_01_a_worker_that_plays_manager_is_told_nothing() -> None:
    issuer = Issuer()
    bootstrap = PlayedBootstrap(issuer)
    async with serving(bootstrap, issuer.credentials()) as address:
        with pytest.raises(Unavailable, match="no manager of a pyswarm cluster"):
            await try_join(new_token(issuer.root), address)
    assert bootstrap.told == []


async def test_CA_06_who_joins_while_one_root_succeeds_another_trusts_both() -> None:
    """The token is the old root's, what the manager shows is the new one's."""
    old = Issuer()
    new = Issuer(old.cluster_id)
    crossed = cross_sign(old.root, old.key, new.root, old.now)
    bundle = new.credentials(role=Role.MANAGER).bundle
    shown = Credentials(bundle.key, bundle.certificate + crossed, old.root + new.root)
    bootstrap = PlayedBootstrap(new)
    bootstrap.root, bootstrap.answered_root = old.root, old.root + new.root
    async with serving(bootstrap, shown) as address:
        joined = await try_join(new_token(old.root), address)
    assert joined.bundle.root == old.root + new.root
    assert joined.issuer == root_fingerprint(new.root)


async def test_CA_01_another_root_in_the_answer_is_not_kept() -> None:
    issuer = Issuer()
    bootstrap = PlayedBootstrap(issuer)
    bootstrap.answered_root = Issuer().root
    async with serving(bootstrap, issuer.credentials(role=Role.MANAGER)) as address:
        with pytest.raises(PermissionDenied, match="another root"):
            await try_join(new_token(issuer.root), address)


async def test_CA_01_a_refusal_is_passed_on_as_it_is() -> None:
    issuer = Issuer()
    bootstrap = PlayedBootstrap(issuer)
    bootstrap.failures = [PermissionDenied("the join token is not valid: it was rotated")]
    async with serving(bootstrap, issuer.credentials(role=Role.MANAGER)) as address:
        with pytest.raises(PermissionDenied, match="it was rotated"):
            await try_join(new_token(issuer.root), address)
    assert len(bootstrap.told) == 1


async def test_a_join_waits_for_a_leader() -> None:
    issuer = Issuer()
    bootstrap = PlayedBootstrap(issuer)
    bootstrap.failures = [NotLeader(), Unavailable("the cluster has lost its quorum")]
    async with serving(bootstrap, issuer.credentials(role=Role.MANAGER)) as address:
        await try_join(new_token(issuer.root), address)
    assert len(bootstrap.told) == 3


async def test_a_join_that_waited_in_vain_says_what_for() -> None:
    issuer = Issuer()
    bootstrap = PlayedBootstrap(issuer)
    bootstrap.failures = [Unavailable("the cluster has lost its quorum")] * 1000
    async with serving(bootstrap, issuer.credentials(role=Role.MANAGER)) as address:
        with pytest.raises(Unavailable, match="lost its quorum"):
            await try_join(new_token(issuer.root), address, timeout=3)


async def test_the_next_manager_is_tried_if_one_does_not_answer() -> None:
    issuer = Issuer()
    bootstrap = PlayedBootstrap(issuer)
    async with serving(bootstrap, issuer.credentials(role=Role.MANAGER)) as address:
        credentials = await try_join(new_token(issuer.root), "127.0.0.1:1", address)
    assert credentials.identity.node_id == NODE


async def test_bad_tokens_and_addresses_are_refused_before_anything_is_sent() -> None:
    token = new_token(Issuer().root)
    with pytest.raises(InvalidArgument, match="invalid join token"):
        await try_join("SWMTKN-1-short", "127.0.0.1:1")
    with pytest.raises(InvalidArgument, match="invalid address"):
        await try_join(token, "two words:1")
    with pytest.raises(InvalidArgument, match="invalid port"):
        await try_join(token, "127.0.0.1:65536")
    with pytest.raises(InvalidArgument, match="no manager to join"):
        await try_join(token)


async def test_an_unknown_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*args: object, **kwargs: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(InvalidArgument, match="cannot find the host 'no-such-host'"):
        await try_join(new_token(Issuer().root), "no-such-host:2377")


async def test_a_refused_connection_says_that_nothing_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"nothing listens on 127.0.0.1:{port} .*127.0.0.1:{port - 1}\b"):
            await try_join(new_token(Issuer().root), f"127.0.0.1:{port - 1}")


async def test_a_server_that_says_nothing_is_waited_for_only_so_long() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(silent) as address:
        with pytest.raises(
            DeadlineExceeded, match=rf"the manager at {address} .*did not answer within 0.5 s.*firewall"
        ):
            await try_join(new_token(Issuer().root), address, timeout=0.5)


async def test_what_speaks_no_tls_is_no_manager() -> None:
    async def talks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    async with listening(talks) as address:
        with pytest.raises(Unavailable, match="is no manager of a pyswarm cluster"):
            await try_join(new_token(Issuer().root), address)


async def test_a_server_that_hangs_up_cannot_be_reached() -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with listening(hangs_up) as address:
        with pytest.raises(Unavailable, match=r"cannot reach|is no manager"):
            await try_join(new_token(Issuer().root), address)


async def test_a_tls_server_that_is_no_manager_is_said_to_be_none() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    issuer = Issuer()
    context = issuer.credentials(role=Role.MANAGER).tls_context(server_side=True)
    context.verify_mode = ssl.CERT_NONE
    async with listening(web, context) as address:
        with pytest.raises(Unavailable, match="is no manager of a pyswarm cluster"):
            await try_join(new_token(issuer.root), address)


@pytest.mark.parametrize("off_by", [-60 * DAY, 60 * DAY])
async def test_a_clock_that_is_wrong_is_named(off_by: int) -> None:
    issuer = Issuer()
    bootstrap = PlayedBootstrap(issuer)
    async with serving(bootstrap, issuer.credentials(role=Role.MANAGER)) as address:
        with pytest.raises(FailedPrecondition, match="set the clocks right"):
            await try_join(new_token(issuer.root), address, now=issuer.now + off_by)
    assert bootstrap.told == []
