"""The interceptor, on a real server: all four kinds of call, their answers and their errors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest

from core.clock import SECOND, ManualClock
from core.errors import NotFound, NotLeader, PermissionDenied, PyswarmError, Unauthenticated
from core.model import Role
from core.rpc import error_of
from identity import access
from identity.access import AccessInterceptor, peer_identity, required_access
from identity.credentials import Credentials
from identity.model import NodeIdentity
from proto import access_pb2
from tests.support.certificates import EverythingServed, Issuer, Method, all_methods, call, serving

KINDS = {method.streams: method for method in all_methods() if required_access(method.path) == access_pb2.MEMBERS} | {
    method.streams: method for method in all_methods() if required_access(method.path) == access_pb2.MANAGERS
}


def anybody(identity: NodeIdentity, access: access_pb2.Access.ValueType) -> None:
    """Allows everything."""


def nobody(identity: NodeIdentity, access: access_pb2.Access.ValueType) -> None:
    raise PermissionDenied(f"not you, {identity.node_id}")


def test_all_four_kinds_of_call_are_tried() -> None:
    assert len(KINDS) == 4


def test_every_rpc_states_who_may_call_it() -> None:
    for method in all_methods():
        assert required_access(method.path) != access_pb2.NOBODY, method.path


def test_only_bootstrapping_is_open_to_anyone() -> None:
    open_to_all = {method.path for method in all_methods() if required_access(method.path) == access_pb2.ANYONE}
    assert open_to_all == {"/pyswarm.v1.Bootstrap/GetRootCA", "/pyswarm.v1.Bootstrap/IssueCertificate"}


@pytest.mark.parametrize("method", KINDS.values(), ids=lambda method: method.path)
async def test_each_kind_of_call_is_let_through_or_refused(method: Method) -> None:
    issuer, clock = Issuer(), ManualClock()
    server, caller = issuer.credentials(role=Role.MANAGER), issuer.credentials("b" * 25)
    for authorize, reached in ((anybody, [method.path]), (nobody, [])):
        everything = EverythingServed()
        interceptor = AccessInterceptor(authorize, clock)
        async with (
            serving(server.server_credentials(), everything, interceptor) as address,
            caller.channel(address) as channel,
        ):
            if reached:
                await call(channel, method)
            else:
                with pytest.raises(PermissionDenied, match="not you, bbbbb"):
                    await call(channel, method)
        assert everything.reached == reached


@pytest.mark.parametrize(
    "path", ["/pyswarm.v1.Unheard/Of", "/pyswarm.v1.Control/Unheard", "/grpc.health.v1.Health/Check"]
)
async def test_a_call_that_states_nothing_is_refused_to_everyone(path: str) -> None:
    issuer = Issuer()
    server, everything = issuer.credentials(role=Role.MANAGER), EverythingServed()
    async with (
        serving(server.server_credentials(), everything, AccessInterceptor(anybody)) as address,
        issuer.credentials(role=Role.MANAGER).channel(address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await channel.unary_unary(path)(b"", timeout=30)
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert everything.reached == []


@pytest.mark.parametrize("method", KINDS.values(), ids=lambda method: method.path)
async def test_a_certificate_that_expires_on_an_open_connection_is_refused(method: Method) -> None:
    issuer, clock = Issuer(), ManualClock()
    caller = issuer.credentials()
    everything = EverythingServed()
    async with (
        serving(
            issuer.credentials(role=Role.MANAGER).server_credentials(), everything, AccessInterceptor(anybody, clock)
        ) as address,
        caller.channel(address) as channel,
    ):
        await call(channel, method)
        clock.advance(caller.expires_at - clock.now())
        with pytest.raises(Unauthenticated, match="expired"):
            await call(channel, method)
    assert everything.reached == [method.path]


class Lasting(grpc.GenericRpcHandler):
    """Says one word, and nothing more for ever."""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        async def answers(request: Any, context: Any) -> AsyncIterator[bytes]:
            yield b"word"
            await asyncio.Event().wait()

        if details.method.endswith("/Logs"):
            return grpc.unary_stream_rpc_method_handler(answers)
        return grpc.stream_stream_rpc_method_handler(answers)


async def _open(channel: grpc.aio.Channel, path: str) -> Any:
    """A call that has been answered with its word. It says nothing itself: gRPC forgets why a call was refused if that
    comes while something is being written to it."""
    stream: Any = channel.unary_stream(path)(b"") if path.endswith("/Logs") else channel.stream_stream(path)()
    assert await stream.read() == b"word"
    return stream


LASTING = ("/pyswarm.v1.Control/Logs", "/pyswarm.v1.Dispatcher/Session", "/pyswarm.v1.Raft/Exchange")


@pytest.mark.parametrize("path", LASTING)
async def test_CA_05_a_stream_ends_when_its_certificate_expires(path: str) -> None:
    issuer = Issuer()
    caller = issuer.credentials()
    almost = ManualClock(caller.expires_at - SECOND // 5)
    server = issuer.credentials(role=Role.MANAGER).server_credentials()
    async with (
        serving(server, Lasting(), AccessInterceptor(anybody, almost)) as address,
        caller.channel(address) as channel,
    ):
        stream = await _open(channel, path)
        with pytest.raises(grpc.aio.AioRpcError) as end:
            await stream.read()
    assert isinstance(error_of(end.value), Unauthenticated)
    assert "has expired" in error_of(end.value).message


@pytest.mark.parametrize("path", LASTING)
async def test_CA_06_streams_and_calls_of_a_root_that_was_given_up_end_and_others_go_on(path: str) -> None:
    """They come over connections that were opened while both roots were trusted."""
    old = Issuer()
    new = Issuer(old.cluster_id)
    root = b""
    interceptor = AccessInterceptor(anybody, root=lambda: root)
    served = new.credentials(role=Role.MANAGER).bundle
    server = Credentials(served.key, served.certificate, old.root + new.root)
    async with serving(server.server_credentials(), Lasting(), interceptor) as address:
        channels = []
        for issuer in (old, new):
            shown = issuer.credentials().bundle
            channels.append(Credentials(shown.key, shown.certificate, old.root + new.root).channel(address))
        outdated, current = channels
        late, good = await _open(outdated, path), await _open(current, path)
        root = new.root
        interceptor.root_changed()
        with pytest.raises(grpc.aio.AioRpcError) as end:
            await late.read()
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await _open(outdated, path)
        for failure in (end, refusal):
            assert isinstance(error_of(failure.value), Unauthenticated)
            assert "not trusted any more" in error_of(failure.value).message
        assert not good.done()
        await _open(current, path)
        for channel in channels:
            await channel.close()


class Fluent(grpc.GenericRpcHandler):
    """Says more at once than a caller takes that does not listen."""

    def __init__(self) -> None:
        self.speaks = asyncio.Event()
        self.ended = asyncio.Event()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        async def answers(request: Any, context: Any) -> AsyncIterator[bytes]:
            self.speaks.set()
            try:
                yield bytes(16 << 20)
                await asyncio.Event().wait()
            finally:
                self.ended.set()

        return grpc.stream_stream_rpc_method_handler(answers)


@asynccontextmanager
async def cut_off_in_its_first_answer() -> AsyncIterator[tuple[Any, Fluent]]:
    """A stream whose caller has taken nothing yet, and who serves it."""
    old = Issuer()
    new = Issuer(old.cluster_id)
    root = b""
    interceptor = AccessInterceptor(anybody, root=lambda: root)
    fluent = Fluent()
    async with (
        serving(old.credentials(role=Role.MANAGER).server_credentials(), fluent, interceptor) as address,
        old.credentials().channel(address) as channel,
        asyncio.timeout(30),
    ):
        stream: Any = channel.stream_stream("/pyswarm.v1.Dispatcher/Session")()
        await fluent.speaks.wait()
        root = new.root
        interceptor.root_changed()
        yield stream, fluent
        stream.cancel()


async def test_CA_06_a_stream_that_is_cut_off_in_the_middle_of_its_first_answer_ends_for_its_caller_too() -> None:
    async with cut_off_in_its_first_answer() as (stream, _):
        assert len(await stream.read()) == 16 << 20
        with pytest.raises(grpc.aio.AioRpcError) as end:
            await stream.read()
    assert isinstance(error_of(end.value), Unauthenticated)


async def test_CA_06_a_caller_that_takes_nothing_does_not_keep_a_stream_open_that_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "_FIRST_ANSWER", 0.05)
    async with cut_off_in_its_first_answer() as (_, fluent):
        await fluent.ended.wait()


class Failing(grpc.GenericRpcHandler):
    """Raises `error` from the handler, of either way to answer a stream."""

    def __init__(self, error: PyswarmError) -> None:
        self._error = error

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        async def once(request: Any, context: Any) -> bytes:
            raise self._error

        async def generated(request: Any, context: Any) -> AsyncIterator[bytes]:
            yield b"first"
            raise self._error

        async def written(request: Any, context: Any) -> None:
            await context.write(peer_identity(context).node_id.encode())
            raise self._error

        if details.method.endswith("/Logs"):
            return grpc.unary_stream_rpc_method_handler(generated)
        if details.method.endswith("/Exchange"):
            return grpc.stream_stream_rpc_method_handler(written)
        return grpc.unary_unary_rpc_method_handler(once)


@pytest.mark.parametrize("error", [NotFound("no such thing"), NotLeader("two:2377")])
async def test_what_a_handler_raises_is_the_calls_status(error: PyswarmError) -> None:
    issuer = Issuer()
    caller = issuer.credentials("b" * 25)
    async with (
        serving(
            issuer.credentials(role=Role.MANAGER).server_credentials(), Failing(error), AccessInterceptor(anybody)
        ) as address,
        caller.channel(address) as channel,
    ):
        for name in ("/GetNode", "/Logs", "/Exchange"):
            method = next(method for method in all_methods() if method.path.endswith(name))
            with pytest.raises(type(error), match=error.message):
                await call(channel, method)
        answers = [answer async for answer in _quietly(channel.unary_stream("/pyswarm.v1.Control/Logs")(b""))]
        written = [answer async for answer in _quietly(channel.stream_stream("/pyswarm.v1.Raft/Exchange")(iter([b""])))]
    assert answers == [b"first"]
    assert written == [b"b" * 25]


async def _quietly(answers: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What came before the call failed."""
    with suppress(grpc.aio.AioRpcError):
        async for answer in answers:
            yield answer


async def test_without_a_certificate_nobody_is_anybody() -> None:
    issuer = Issuer()
    method = next(method for method in all_methods() if method.path.endswith("/Probe"))
    everything = EverythingServed()
    open_to_all = issuer.credentials(role=Role.MANAGER).bootstrap_server_credentials()
    options = [("grpc.ssl_target_name_override", "swarm-manager")]
    async with (
        serving(open_to_all, everything, AccessInterceptor(anybody)) as address,
        grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(issuer.root), options=options) as channel,
    ):
        with pytest.raises(Unauthenticated, match="no certificate"):
            await call(channel, method)
    assert everything.reached == []
