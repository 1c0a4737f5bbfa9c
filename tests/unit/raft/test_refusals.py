"""Who and what a member lets in, over real connections; and how it ends when it has to."""

import asyncio
import errno
import os
from pathlib import Path

import grpc
import pytest

from core.errors import InvalidArgument, ResourceExhausted, ShuttingDown, UnknownOutcome
from core.ids import new_id
from core.model import Role
from identity.credentials import Credentials
from identity.model import MANAGER_NAME, PemBundle
from proto import raft_pb2 as pb
from proto.raft_pb2_grpc import RaftStub
from raft import MAX_COMMAND, codec
from raft.storage.errors import StorageFailed
from tests.support.managers import Authority, Manager, cluster, until
from tests.support.refusals import refusal
from tests.support.waiting import PATIENCE
from tests.unit.raft.test_cluster import written


async def exchange(credentials: Credentials, manager: Manager, *messages: pb.RaftMessage) -> grpc.aio.AioRpcError:
    """How the stream ends when these are sent on it."""
    async with credentials.channel(manager.addr, MANAGER_NAME) as channel:

        async def call() -> None:
            async for _ in RaftStub(channel).Exchange(iter(messages), timeout=PATIENCE):
                pass

        return await refusal(call)


async def install(credentials: Credentials, manager: Manager, *parts: pb.RaftSnapshotPart) -> grpc.aio.AioRpcError:
    """How the call ends when a snapshot of these is sent."""
    async with credentials.channel(manager.addr, MANAGER_NAME) as channel:
        return await refusal(lambda: RaftStub(channel).Install(iter(parts), timeout=PATIENCE))


def hello(to: Manager, incarnation: int = 1) -> pb.RaftMessage:
    expected = to.raft.own.incarnation
    return pb.RaftMessage(hello=pb.RaftMessage.Hello(incarnation=incarnation, expected=expected, addr="10.0.0.9:2377"))


async def test_S11_only_managers_of_this_cluster_are_heard(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        (manager,) = made.managers
        worker = made.authority.credentials(new_id(), Role.WORKER)
        refused = await exchange(worker, manager, hello(manager))
        assert refused.code() == grpc.StatusCode.PERMISSION_DENIED
        assert refused.details() == "only the managers of this cluster may take part in its log"
        stranger = Authority().credentials(new_id())
        assert (await exchange(stranger, manager, hello(manager))).code() == grpc.StatusCode.UNAVAILABLE


async def test_every_call_is_refused_to_a_worker(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        (manager,) = made.managers
        worker = made.authority.credentials(new_id(), Role.WORKER)
        async with worker.channel(manager.addr, MANAGER_NAME) as channel:
            stub = RaftStub(channel)
            for call in (
                lambda: stub.Join(pb.RaftJoinRequest(addr="10.0.0.9:2377", incarnation=1)),
                lambda: stub.Probe(pb.RaftProbeRequest()),
                lambda: stub.Install(iter([pb.RaftSnapshotPart()])),
            ):
                assert (await refusal(call)).code() == grpc.StatusCode.PERMISSION_DENIED


async def test_a_stream_for_another_member_or_of_another_one_is_refused(tmp_path: Path) -> None:
    async with cluster(tmp_path, 2) as made:
        one, two = made.managers
        wrong = hello(one, two.raft.own.incarnation)
        wrong.hello.expected += 1
        refused = await exchange(two.credentials, one, wrong)
        assert "has lost the state it had and is another member now" in (refused.details() or "")
        refused = await exchange(two.credentials, one, hello(one, incarnation=5))
        assert "is a member with another state" in (refused.details() or "")


async def test_S11_a_snapshot_for_another_member_or_of_another_one_is_refused_unread(tmp_path: Path) -> None:
    """Whatever term it claims. One whom our log does not know is heard: it may lead since we were last there."""
    async with cluster(tmp_path, 2) as made:
        one, two = made.managers
        state = pb.RaftSnapshotState(entry=pb.RaftEntry(index=99, term=99))
        parts = [pb.RaftSnapshotPart(term=99, state=state), pb.RaftSnapshotPart(term=99, end=0)]
        ours = hello(one, two.raft.own.incarnation).hello
        meant_for_another = pb.RaftMessage.Hello(incarnation=ours.incarnation, expected=ours.expected + 1)
        refused = await install(two.credentials, one, pb.RaftSnapshotPart(hello=meant_for_another), *parts)
        assert refused.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "has lost the state it had and is another member now" in (refused.details() or "")
        of_another = pb.RaftSnapshotPart(hello=hello(one, incarnation=5).hello)
        refused = await install(two.credentials, one, of_another, *parts)
        assert refused.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "is a member with another state" in (refused.details() or "")
        refused = await install(two.credentials, one, *parts)
        assert refused.details() == "the first message of a stream is a Hello"
        unknown = made.authority.credentials(new_id())
        refused = await install(unknown, one, of_another, parts[1])
        assert refused.details() == "a snapshot begins with its state"
        await written(made, b"still well")
        assert one.leadership.term < 99


async def test_S11_a_snapshot_of_a_removed_member_is_refused_unread(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        gone = next(manager for manager in made.managers if manager is not leader)
        said = hello(leader, gone.raft.own.incarnation).hello
        await leader.raft.remove_member(gone.id)
        refused = await install(gone.credentials, leader, pb.RaftSnapshotPart(hello=said))
        assert refused.code() == grpc.StatusCode.PERMISSION_DENIED
        assert refused.details() == f"node {gone.id} was removed from the managers of this cluster"


async def test_what_cannot_be_read_ends_the_stream_with_the_reason(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        (manager,) = made.managers
        manager_too = made.authority.credentials(new_id())
        first = pb.RaftMessage(stale_term=pb.RaftMessage.StaleTerm())
        refused = await exchange(manager_too, manager, first)
        assert (refused.code(), refused.details()) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "the first message of a stream is a Hello",
        )
        pickled = pb.RaftMessage(term=9)
        pickled.append.entries.add(index=2, term=9, command=b"\x80\x04cos\nsystem\n")
        for bad in (pb.RaftMessage(), pickled):
            refused = await exchange(manager_too, manager, hello(manager), bad)
            assert refused.code() == grpc.StatusCode.INVALID_ARGUMENT
        await written(made, b"still well")


async def test_one_who_is_no_member_cannot_acknowledge_or_vote(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        stranger = made.authority.credentials(new_id())
        term = leader.leadership.term
        vote = pb.RaftMessage(term=term, vote_reply=pb.RaftMessage.VoteReply())
        ack = pb.RaftMessage(term=term, append_reply=pb.RaftMessage.AppendReply(next_index=3, success=True))
        async with stranger.channel(leader.addr, MANAGER_NAME) as channel:
            call = RaftStub(channel).Exchange()
            for message in (hello(leader), vote, ack):
                await call.write(message)
            await until(lambda: leader.raft._engine.guard.fired["S11"] == 2)
        assert leader.leadership.term == term


async def test_a_full_disk_ends_the_member_and_the_others_go_on(tmp_path: Path) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        leader.raft._engine._state.journal._sync = full
        with pytest.raises(UnknownOutcome):
            await leader.propose(b"not written")
        reason = await leader.raft.ended()
        assert isinstance(reason, StorageFailed)
        assert "No space left on device" in reason.message
        assert not leader.leadership.is_leader
        with pytest.raises(StorageFailed):
            await leader.propose(b"nor this")
        await written(made, b"elsewhere", leader)


async def test_S7_a_command_that_cannot_be_applied_ends_the_member(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        (manager,) = made.managers

        def broken(index: int, request_id: bytes, command: bytes) -> None:
            raise RuntimeError("cannot apply")

        manager.notebook.apply = broken  # type: ignore[method-assign]
        with pytest.raises(UnknownOutcome):
            await manager.propose(b"bad")
        reason = await manager.raft.ended()
        assert reason is not None
        assert "cannot apply" in reason.message


async def test_what_is_no_command_is_refused_before_it_is_written(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        (manager,) = made.managers
        with pytest.raises(ResourceExhausted, match="larger than the 1048576 one may have"):
            await manager.propose(b"x" * (MAX_COMMAND + 1))
        await manager.propose(b"x" * MAX_COMMAND)
        for request_id in (b"", b"x" * 65):
            with pytest.raises(InvalidArgument, match="1 to 64 bytes"):
                await manager.raft.propose(b"x", request_id)


async def test_a_stopped_member_says_so(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        (manager,) = made.managers
        await manager.stop()
        assert await manager.raft.ended() is None
        with pytest.raises(ShuttingDown):
            await manager.propose(b"late")


async def test_certificates_are_renewed_while_it_runs(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        for manager in made.managers:
            manager.credentials.replace(PemBundle(*made.authority.issue(manager.id), made.authority.root))
            await written(made, manager.id.encode())
        last = made.managers[-1].id.encode()
        await until(lambda: all(last in manager.notebook.commands for manager in made.managers))


async def test_leadership_is_announced_when_it_changes(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        other = next(manager for manager in made.managers if manager is not leader)
        seen: list[tuple[str, bool]] = []
        unwatch = other.raft.watch_leadership(lambda now: seen.append((now.leader_id, now.is_leader)))
        await leader.raft.transfer_leadership()
        await until(lambda: bool(seen) and seen[-1][0] not in ("", leader.id))
        unwatch()
        assert all(is_leader == (leader_id == other.id) for leader_id, is_leader in seen if is_leader)


async def test_what_a_slow_member_has_not_taken_is_bounded(tmp_path: Path) -> None:
    """Its engine takes nothing for a while: the sender is held up, rather than the memory filled."""
    async with cluster(tmp_path, 1) as made:
        (manager,) = made.managers
        inbox = manager.raft._engine._inbox
        taking = inbox.take
        inbox.take = lambda wait: []  # type: ignore[method-assign]
        wire = pb.RaftMessage(term=1)
        wire.append.entries.add(index=1, term=1, command=codec.encode_proposal(b"id", bytes(1 << 20))[1:])
        sent = 0

        async def flood() -> None:
            nonlocal sent
            async with made.authority.credentials(new_id()).channel(manager.addr, MANAGER_NAME) as channel:
                call = RaftStub(channel).Exchange()
                await call.write(hello(manager))
                for sent in range(1, 151):  # noqa: B007 - watched from outside
                    await call.write(wire)
                await until(lambda: manager.raft._received > 150 << 20)

        flooding = asyncio.create_task(flood())
        await until(lambda: manager.raft._received > 32 << 20)
        await asyncio.sleep(0.3)
        assert manager.raft._received < 36 << 20
        assert sent < 150
        inbox.take = taking  # type: ignore[method-assign]
        await flooding
        await manager.propose(b"still well")
