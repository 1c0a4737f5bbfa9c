"""The log's gRPC handlers under any bytes, in any order, from a member and from a manager that is none."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.ids import new_id
from identity.credentials import Credentials
from identity.model import MANAGER_NAME
from proto import raft_pb2 as pb
from tests.support.managers import Cluster, cluster
from tests.support.refusals import FORGOTTEN
from tests.support.waiting import PATIENCE
from tests.support.wire import messages
from tests.unit.raft.test_cluster import HASTY, written

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
"""The members draw their election times while hypothesis draws its examples."""

SERVICE = "/pyswarm.v1.Raft/"
UNLIMITED = [("grpc.max_send_message_length", -1)]
UNREADABLE = grpc.StatusCode.UNKNOWN
"""gRPC's own answer to a single call whose bytes are no message: our code never sees them."""
CLEAN = {
    None,
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
}
CONTRADICTION = pb.RaftMessage(term=9, append=pb.RaftMessage.Append(prev_index=2, prev_term=7)).SerializeToString()
"""A leader that does not know what is committed."""


def wire(kind: type[Any]) -> st.SearchStrategy[bytes]:
    """A message of any content, any bytes, or a message with a few bytes changed."""
    sound = messages(kind).map(lambda message: bytes(message.SerializeToString()))
    return sound | st.binary(max_size=300) | st.tuples(sound, st.binary(max_size=8)).map(b"".join)


class Target:
    """A cluster of two, one of which is asked; the other's credentials are a member's."""

    def __init__(self, made: Cluster) -> None:
        self.made = made
        self.manager, self.other = made.managers
        self.stranger = made.authority.credentials(new_id())

    def hello(self, member: bool, kind: type[pb.RaftMessage | pb.RaftSnapshotPart] = pb.RaftMessage) -> bytes:
        incarnation = self.other.raft.own.incarnation if member else 1
        expected = self.manager.raft.own.incarnation
        addr = self.other.addr if member else "127.0.0.1:1"
        said = pb.RaftMessage.Hello(incarnation=incarnation, expected=expected, addr=addr)
        return bytes(kind(hello=said).SerializeToString())

    def credentials(self, member: bool) -> Credentials:
        return self.other.credentials if member else self.stranger

    async def call(self, method: str, requests: list[bytes], member: bool) -> grpc.StatusCode | None:
        """How it ends. None if gRPC has lost that: it ended while this client was writing.

        A member whose leader contradicts what is committed has to stop, and no other may: it is started again, and
        asked again.
        """
        answer = await self._call(method, requests, member)
        if self.manager.raft._ended.done():
            reason = await self.manager.raft.ended()
            assert reason is not None
            assert "the leader's log differs at the committed entry" in reason.message
            await self.manager.kill()
            await self.manager.start()
            answer = await self._call(method, requests, member)
        return answer

    async def _call(self, method: str, requests: list[bytes], member: bool) -> grpc.StatusCode | None:
        """A stream that goes on is left after a while: that is no harm either."""
        async with self.credentials(member).channel(self.manager.addr, MANAGER_NAME, UNLIMITED) as channel:
            make = channel.stream_stream if method in ("Exchange", "Install") else channel.unary_unary
            multi: Callable[..., Any] = make(SERVICE + method)  # type: ignore[operator]
            streaming = method in ("Exchange", "Install")
            call = multi(iter(requests) if streaming else requests[0], timeout=PATIENCE)
            try:
                if streaming:
                    async for _ in call:
                        pass
                else:
                    await call
            except grpc.aio.AioRpcError as error:
                return None if error.details() == FORGOTTEN else error.code()
            return grpc.StatusCode.OK

    async def is_well(self) -> None:
        """It still answers."""
        probe = pb.RaftProbeRequest(node_id=self.manager.id, incarnation=self.manager.raft.own.incarnation)
        assert await self.call("Probe", [probe.SerializeToString()], True) == grpc.StatusCode.OK


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def target(loop: asyncio.AbstractEventLoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    context = cluster(tmp_path_factory.mktemp("members"), 2, replace(HASTY, snapshot_entries=20, keep_entries=2))
    made = loop.run_until_complete(context.__aenter__())
    yield Target(made)
    loop.run_until_complete(context.__aexit__(None, None, None))


@settings(max_examples=150)
@example(True, True, [CONTRADICTION])
@given(st.booleans(), st.booleans(), st.lists(wire(pb.RaftMessage), max_size=5))
def test_S11_any_bytes_to_a_stream(
    loop: asyncio.AbstractEventLoop, target: Target, member: bool, greets: bool, sent: list[bytes]
) -> None:
    requests = [target.hello(member), *sent] if greets else sent
    assert loop.run_until_complete(target.call("Exchange", requests, member)) in CLEAN
    loop.run_until_complete(target.is_well())


@settings(max_examples=100)
@given(st.booleans(), st.booleans(), st.lists(wire(pb.RaftSnapshotPart), max_size=4))
def test_S9_any_bytes_for_a_snapshot(
    loop: asyncio.AbstractEventLoop, target: Target, member: bool, greets: bool, sent: list[bytes]
) -> None:
    requests = [target.hello(member, pb.RaftSnapshotPart), *sent] if greets else sent
    assert loop.run_until_complete(target.call("Install", requests, member)) in CLEAN
    loop.run_until_complete(target.is_well())


@settings(max_examples=60)
@given(st.booleans(), st.sampled_from([("Join", pb.RaftJoinRequest), ("Probe", pb.RaftProbeRequest)]), st.data())
def test_S11_any_bytes_to_a_single_call(
    loop: asyncio.AbstractEventLoop, target: Target, member: bool, called: tuple[str, type[Any]], data: st.DataObject
) -> None:
    method, kind = called
    request = data.draw(wire(kind))
    assert loop.run_until_complete(target.call(method, [request], member)) in {*CLEAN, UNREADABLE}
    loop.run_until_complete(target.is_well())


@pytest.mark.parametrize("member", [True, False])
@pytest.mark.parametrize("method", ["Exchange", "Install", "Join"])
def test_S11_a_message_larger_than_any_is_refused_unread(
    loop: asyncio.AbstractEventLoop, target: Target, method: str, member: bool
) -> None:
    large = pb.RaftMessage(append=pb.RaftMessage.Append(entries=[pb.RaftEntry(command=bytes(20 << 20))]))
    ended = None
    while ended is None:
        ended = loop.run_until_complete(target.call(method, [large.SerializeToString()], member))
    assert ended == grpc.StatusCode.RESOURCE_EXHAUSTED
    loop.run_until_complete(target.is_well())


def test_it_still_takes_writes_and_its_log_is_whole(loop: asyncio.AbstractEventLoop, target: Target) -> None:
    """The last one: after all of the above."""

    async def write() -> None:
        await written(target.made, b"still well")
        await target.manager.kill()
        await target.manager.start()
        await written(target.made, b"also after a start")

    loop.run_until_complete(write())
