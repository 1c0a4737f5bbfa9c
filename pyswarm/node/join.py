"""Joining: learn the cluster's root, hold it against the token, and only then say anything.

The root is fetched from a server that cannot be verified yet. gRPC has no unverified connections, so the certificate
that the server shows is read first, and the connection accepts just that one. Whoever sits in between gains nothing:
the root's digest is in the token, and everything after it is verified with that root.
"""

import asyncio
import hmac
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime

import grpc

from core.clock import SECOND, Clock
from core.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotLeader,
    PermissionDenied,
    PyswarmError,
    Unavailable,
)
from core.logs import logger
from core.model import Availability
from core.ports import JOINING_OFFSET
from core.rpc import error_of
from identity.certificates import load_certificate, validity_of
from identity.channels import secure_channel
from identity.credentials import Credentials
from identity.keys import new_key_and_csr
from identity.model import MANAGER_NAME
from identity.root import root_digest
from identity.tokens import JoinToken, parse_token
from manager.control.remote import RemoteControl
from proto import ca_pb2 as pb
from proto.ca_pb2_grpc import BootstrapStub
from pyswarm.node.addresses import HostPort, bootstrap_address, parse_host_port

TIMEOUT = 20.0
"""Seconds, for each manager that is asked."""
_RETRY = 0.5
_MAX_ANSWER = 64 << 10

log = logger("node")


async def join(
    managers: Sequence[str], token: str, availability: Availability, clock: Clock, timeout: float = TIMEOUT
) -> Credentials:
    """The credentials of a new node, from the first of `managers` (host:port each) that answers; `clock` is the wall
    clock. The token decides the role.

    Raises InvalidArgument for a bad token or address, PermissionDenied for a token that is not this cluster's (any
    more), FailedPrecondition if the clocks differ too much, Unavailable and DeadlineExceeded if nobody answers.
    """
    parsed = parse_token(token.strip())
    addresses = [bootstrap_address(manager) for manager in managers]
    if not addresses:
        raise InvalidArgument("no manager to join was given: name one as host:port")
    for address in addresses[:-1]:
        try:
            return await _join_at(address, token.strip(), parsed, availability, clock, timeout)
        except (Unavailable, DeadlineExceeded):
            continue
    return await _join_at(addresses[-1], token.strip(), parsed, availability, clock, timeout)


async def withdraw(managers: Sequence[str], credentials: Credentials) -> None:
    """Takes back the join of a manager that was admitted but could not become one. What hinders that is logged."""
    node_id = credentials.identity.node_id
    asked = list(managers)
    for manager in asked:
        try:
            async with credentials.channel(manager, MANAGER_NAME) as channel:
                await RemoteControl(channel, manager).remove_node(node_id, force=True)
            return
        except NotLeader as error:
            if error.leader and error.leader not in asked:
                asked.append(error.leader)
        except PyswarmError as error:
            log.warning("a join that failed is not taken back", node=node_id, manager=manager, reason=error.message)


async def _join_at(
    address: str, token: str, parsed: JoinToken, availability: Availability, clock: Clock, timeout: float
) -> Credentials:
    busy: list[Unavailable] = []
    try:
        async with asyncio.timeout(timeout):
            root = await _ask_root(address, clock)
            _check_root(address, root, parsed)
            await _check_shown(address, root)
            return await _certify(address, root, token, availability, busy)
    except TimeoutError:
        if busy:
            raise busy[-1] from None
        raise DeadlineExceeded(
            f"{_place(address)} did not answer within {timeout:g} s: check the address, that the manager runs, "
            "and that no firewall drops TCP 2377 and 2378"
        ) from None


async def _ask_root(address: str, clock: Clock) -> bytes:
    """Of whoever listens there. One that has renewed its certificate between our two connections is asked again."""
    shown = await _shown_certificate(address)
    while True:
        _check_dates(address, shown, clock.now())
        try:
            return await _fetch_root(address, shown)
        except Unavailable:
            before, shown = shown, await _shown_certificate(address)
            if shown == before:
                raise


def _check_dates(address: str, shown: bytes, now: int) -> None:
    begins, expires = validity_of(load_certificate(shown))
    if not begins <= now < expires:
        raise FailedPrecondition(
            f"the certificate of {address} is valid from {_date(begins)} to {_date(expires)}, but the clock here says "
            f"{_date(now)}: set the clocks right"
        )


def _check_root(address: str, root: bytes, token: JoinToken) -> None:
    if not hmac.compare_digest(root_digest(root), token.digest):
        raise PermissionDenied(
            f"the token is for another cluster than the one of {address}, or from before its root was rotated: the "
            "root certificate differs; nothing was sent. Check the address, and get a new token with "
            "`pyswarm join-token` on one of that cluster's managers"
        )


async def _check_shown(address: str, root: bytes) -> None:
    """A connection that the root vouches for: directly, or for its successor."""
    target = parse_host_port(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    context.load_verify_locations(cadata=root.decode())
    context.check_hostname = False  # the next connection is made to a manager, or not at all
    try:
        _, writer = await asyncio.open_connection(target.host, target.port, ssl=context)
    except ssl.SSLCertVerificationError:
        raise PermissionDenied(
            f"{address} shows a certificate that the token's cluster has not signed: somebody may sit in between; "
            "nothing was sent"
        ) from None
    except TimeoutError:  # the system's own; told as ours is
        raise
    except OSError as error:
        raise Unavailable(f"cannot reach {_place(address)}: {error.strerror or error}") from None
    writer.transport.abort()


async def _fetch_root(address: str, shown: bytes) -> bytes:
    async with _channel(address, shown) as channel:
        try:
            answer = await BootstrapStub(channel).GetRootCA(pb.GetRootCARequest())
        except grpc.aio.AioRpcError as failure:
            raise Unavailable(f"{address} is no manager of a pyswarm cluster: {error_of(failure).message}") from None
        return bytes(answer.cert)


async def _shown_certificate(address: str) -> bytes:
    """The certificate (PEM) of whoever listens there, verified by nobody."""
    target = parse_host_port(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        _, writer = await asyncio.open_connection(target.host, target.port, ssl=context)
    except socket.gaierror:
        raise InvalidArgument(f"cannot find the host {target.host!r}: check its name, or give its address") from None
    except ConnectionRefusedError:
        raise Unavailable(
            f"nothing listens on {_place(address)}: check the address, and that the node there is a manager of a "
            "cluster"
        ) from None
    except ssl.SSLError:
        raise Unavailable(f"what listens on {_place(address)} is no manager of a pyswarm cluster") from None
    except TimeoutError:  # the system's own; told as ours is
        raise
    except OSError as error:
        raise Unavailable(f"cannot reach {_place(address)}: {error.strerror or error}") from None
    shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    if shown is None:
        raise Unavailable(f"what listens on {_place(address)} is no manager of a pyswarm cluster")
    return ssl.DER_cert_to_PEM_cert(shown).encode()


async def _certify(
    address: str, root: bytes, token: str, availability: Availability, busy: list[Unavailable]
) -> Credentials:
    """Asks until somebody leads the cluster; why it had to wait is left in `busy`."""
    key, csr = new_key_and_csr()
    request = pb.IssueCertificateRequest(token=token, csr=csr, availability=availability)
    async with _channel(address, root) as channel:
        while True:
            try:
                answer = await BootstrapStub(channel).IssueCertificate(request)
                break
            except grpc.aio.AioRpcError as failure:
                error = error_of(failure)
                if not isinstance(error, Unavailable):
                    raise error from None
                busy.append(error)
            await asyncio.sleep(_RETRY)
    if not answer.root.startswith(root):  # behind it there may be its successor
        raise PermissionDenied(f"{address} answered with another root certificate than the token's; nothing was kept")
    return Credentials(key, bytes(answer.certificate), bytes(answer.root))


def _channel(address: str, trusted: bytes) -> grpc.aio.Channel:
    return secure_channel(
        address,
        MANAGER_NAME,
        grpc.ssl_channel_credentials(trusted),
        [("grpc.max_receive_message_length", _MAX_ANSWER)],
    )


def _place(bootstrap: str) -> str:
    """With the address that the user knows."""
    own = parse_host_port(bootstrap)
    managers = HostPort(own.host, own.port - JOINING_OFFSET)
    return f"{bootstrap} (where the manager at {managers} takes in new nodes)"


def _date(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // SECOND, UTC).strftime("%Y-%m-%d %H:%M UTC")
