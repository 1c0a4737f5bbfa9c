"""Whole members over real gRPC, mutual TLS and disks."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from core.clock import MILLISECOND, SECOND
from core.errors import (
    FailedPrecondition,
    NoQuorum,
    NotLeader,
    PermissionDenied,
    ShuttingDown,
    Unavailable,
    UnknownOutcome,
)
from core.ids import new_id
from raft import Timing, wipe
from raft.membership import Change, ChangePending
from raft.storage.snapshot import FILE as SNAPSHOT
from raft.storage.snapshot import SnapshotWriter
from tests.support.managers import STEADY, Cluster, Manager, cluster, until
from tests.support.waiting import PATIENCE

HASTY = Timing(
    heartbeat=50 * MILLISECOND,
    election_min=300 * MILLISECOND,
    election_max=600 * MILLISECOND,
    check_quorum=SECOND,
)
SMALL = replace(STEADY, snapshot_entries=20, keep_entries=2)


async def written(cluster: Cluster, command: bytes, *without: Manager) -> None:
    """Proposes to whoever leads until it is taken, as a client would: again with the same request id."""
    request_id = new_id().encode()
    async with asyncio.timeout(PATIENCE):
        while True:
            leader = await cluster.leader(*without)
            try:
                await leader.raft.propose(command, request_id)
                return
            except (NotLeader, NoQuorum, UnknownOutcome):
                await asyncio.sleep(0.05)


async def everywhere(managers: list[Manager], command: bytes) -> None:
    await until(lambda: all(command in manager.notebook.commands for manager in managers))


async def test_a_single_manager_leads_at_once_and_takes_writes(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        (manager,) = made.managers
        assert await manager.propose(b"one") < await manager.propose(b"two")
        await manager.raft.read_barrier()
        assert manager.notebook.commands == [b"one", b"two"]
        assert [(m.node_id, m.reachable, m.leader) for m in manager.raft.members()] == [(manager.id, True, True)]


async def test_RFT_01_leader_dies_and_writes_go_on(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        first = await made.leader()
        await written(made, b"before")
        await first.kill()
        await written(made, b"after", first)
        await first.start()
        await everywhere(made.managers, b"after")
        assert all(manager.notebook.commands == [b"before", b"after"] for manager in made.managers)


async def test_RFT_01_follower_dies_and_writes_go_on(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        follower = next(manager for manager in made.managers if manager is not leader)
        await follower.kill()
        await written(made, b"without it", follower)
        await follower.start()
        await everywhere(made.managers, b"without it")


async def test_RFT_01_without_a_quorum_writes_fail_and_one_that_returns_mends_it(tmp_path: Path) -> None:
    async with cluster(tmp_path, 5) as made:
        leader = await made.leader()
        dead = [manager for manager in made.managers if manager is not leader][:3]
        for manager in dead:
            await manager.kill()
        leader.notice_silence_soon()
        with pytest.raises(UnknownOutcome, match="2 of 5 managers can be reached"):
            await leader.propose(b"in doubt")
        with pytest.raises(NoQuorum, match="2 of 5 managers can be reached and 3 are needed"):
            await leader.propose(b"refused")
        await dead[0].start()
        await written(made, b"again", *dead[1:])
        survivors = [manager for manager in made.managers if manager not in dead[1:]]
        await everywhere(survivors, b"again")
        assert all(b"refused" not in manager.notebook.commands for manager in survivors)


async def test_RFT_01_a_leader_that_hears_nobody_refuses_though_its_streams_stand(tmp_path: Path) -> None:
    """As when a switch drops everything: no kernel says that a connection is gone."""
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        leader.notice_silence_soon()
        for manager in made.managers:
            manager.raft._links.send = lambda receiver, message: None  # type: ignore[method-assign]
        with pytest.raises(UnknownOutcome, match="1 of 3 managers can be reached"):
            await leader.propose(b"in doubt")
        assert leader.leadership.is_leader
        assert [member.reachable for member in leader.raft.members()].count(True) == 1
        with pytest.raises(NoQuorum, match="1 of 3 managers can be reached and 2 are needed"):
            await leader.propose(b"refused")
        with pytest.raises(NoQuorum):
            await leader.raft.read_barrier()


async def test_what_waits_when_a_manager_stops_may_have_been_made(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        for manager in made.managers:
            manager.raft._links.send = lambda receiver, message: None  # type: ignore[method-assign]
        waiting = asyncio.create_task(leader.propose(b"in doubt"))
        await asyncio.sleep(0)
        leader.raft._end(ShuttingDown())
        with pytest.raises(UnknownOutcome, match="stopped before it could confirm"):
            await waiting
        with pytest.raises(ShuttingDown):
            await leader.propose(b"refused")


async def test_RFT_02_joining_twice_adds_no_member_and_moves_it(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        follower = next(manager for manager in made.managers if manager is not leader)
        await follower.raft.join(leader.addr)
        assert len(leader.raft.members()) == 3
        await follower.stop()
        before = follower.addr
        await follower.start(keep_addr=False)
        assert follower.addr != before
        await follower.raft.join(leader.addr)
        member = {m.node_id: m for m in leader.raft.members()}[follower.id]
        assert (member.addr, len(leader.raft.members())) == (follower.addr, 3)


async def test_RFT_02_a_manager_that_comes_back_at_another_address_is_found_by_itself(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        follower = next(manager for manager in made.managers if manager is not leader)
        await follower.stop()
        await follower.start(keep_addr=False)
        await until(lambda: follower.addr in {m.addr for m in leader.raft.members()})
        await written(made, b"found")
        await everywhere(made.managers, b"found")
        assert all(follower.addr in {m.addr for m in manager.raft.members()} for manager in made.managers)


async def test_RFT_02_an_address_that_could_not_be_written_down_at_once_is_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        follower = next(manager for manager in made.managers if manager is not leader)
        change = leader.raft._proposals.change
        refusals = [ChangePending(), UnknownOutcome()]

        async def not_at_once(one: Change) -> None:
            if refusals:
                raise refusals.pop()
            await change(one)

        monkeypatch.setattr(leader.raft._proposals, "change", not_at_once)
        await follower.stop()
        await follower.start(keep_addr=False)
        await until(lambda: follower.addr in {m.addr for m in leader.raft.members()})
        assert not refusals


async def test_RFT_02_an_address_that_cannot_be_dialled_back_is_refused(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        stranger = Manager(made.authority, tmp_path, STEADY)
        await stranger.start()
        try:
            own = stranger.raft.own
            stranger.raft.own = replace(own, addr="127.0.0.1:1")
            with pytest.raises(FailedPrecondition, match=r"cannot reach manager .* at 127\.0\.0\.1:1.*open that port"):
                await stranger.raft.join(made.managers[0].addr)
            other = made.managers[0].addr
            stranger.raft.own = replace(own, addr=other)
            with pytest.raises(FailedPrecondition, match=f"cannot reach manager .* at {other}"):
                await stranger.raft.join(other)
            assert len(made.managers[0].raft.members()) == 1
            stranger.raft.own = own
            assert len(await stranger.raft.join(other)) == 2
        finally:
            await stranger.stop()


async def test_RFT_03_all_restart_together_with_the_same_data_and_one_leader(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        for number in range(30):
            await written(made, b"%d" % number)
        await asyncio.gather(*(manager.kill() for manager in made.managers))
        await asyncio.gather(*(manager.start() for manager in made.managers))
        await written(made, b"after")
        await everywhere(made.managers, b"after")
        expected = [b"%d" % number for number in range(30)] + [b"after"]
        assert all(manager.notebook.commands == expected for manager in made.managers)
        assert sum(manager.leadership.is_leader for manager in made.managers) == 1


async def test_RFT_03_restart_one_after_the_other(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        for number, manager in enumerate(made.managers):
            await written(made, b"%d" % number)
            await manager.stop()
            await manager.start()
        await written(made, b"after")
        await everywhere(made.managers, b"after")
        assert all(manager.notebook.commands == [b"0", b"1", b"2", b"after"] for manager in made.managers)


async def test_RFT_04_wiped_state_cannot_come_back_under_the_old_membership(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        victim = next(manager for manager in made.managers if manager is not leader)
        await victim.stop()
        wipe(victim.folder)
        await victim.start()
        with pytest.raises(FailedPrecondition, match="its own was lost; demote it, then promote it again"):
            await victim.raft.join(leader.addr)
        assert victim.notebook.commands == []
        await leader.raft.remove_member(victim.id)
        await victim.raft.join(leader.addr)
        await written(made, b"back")
        await everywhere(made.managers, b"back")


async def test_RFT_06_who_was_away_for_long_gets_a_snapshot_and_so_does_a_late_joiner(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3, SMALL) as made:
        leader = await made.leader()
        away = next(manager for manager in made.managers if manager is not leader)
        await away.kill()
        for number in range(60):
            await written(made, b"%d" % number, away)
        await until(lambda: leader.raft._engine._state.journal.entries[0].idx > 20)
        await away.start()
        await everywhere([away], b"59")
        await made.grow(1)
        await everywhere(made.managers, b"59")
        assert all(manager.notebook.commands == leader.notebook.commands for manager in made.managers)
        assert {m.node_id for m in made.managers[-1].raft.members()} == {manager.id for manager in made.managers}
        for manager in made.managers:
            await manager.kill()
        await asyncio.gather(*(manager.start() for manager in made.managers))
        await written(made, b"end")
        await everywhere(made.managers, b"end")
        assert all(manager.notebook.commands == leader.notebook.commands for manager in made.managers)


async def test_how_often_a_snapshot_is_taken_may_be_changed_while_it_runs(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1, replace(STEADY, snapshot_entries=10_000, keep_entries=2)) as made:
        (manager,) = made.managers
        snapshot = manager.folder / SNAPSHOT
        for number in range(30):
            await manager.propose(b"%d" % number)
        assert not snapshot.exists()
        manager.raft.set_snapshots(20)
        await until(snapshot.exists)


async def test_older_snapshots_are_kept_until_the_data_key_changes(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1, replace(STEADY, keep_entries=2)) as made:
        (manager,) = made.managers

        def older() -> list[str]:
            return sorted(path.name for path in manager.folder.glob(f"{SNAPSHOT}-*"))

        async def another() -> None:
            before = (manager.folder / SNAPSHOT).stat().st_ino if (manager.folder / SNAPSHOT).exists() else 0
            while not (manager.folder / SNAPSHOT).exists() or (manager.folder / SNAPSHOT).stat().st_ino == before:
                await written(made, b"more")

        manager.raft.set_snapshots(20, older=2)
        for _ in range(4):
            await another()
        await until(lambda: len(older()) == 2)
        first, second = older()
        assert (manager.folder / first).stat().st_mode & 0o777 == 0o600
        await another()
        await until(lambda: older()[0] == second)
        await manager.kill()
        await manager.start()
        assert len(older()) == 2
        manager.raft.set_snapshots(20, older=1)
        await another()
        assert len(older()) == 1
        await manager.raft.rotate_key()
        await until(lambda: not older())


async def test_a_snapshot_under_way_holds_up_no_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, go_on = threading.Event(), threading.Event()
    finish = SnapshotWriter.finish

    def stuck(writer: SnapshotWriter) -> None:
        arrived.set()
        go_on.wait(30)
        finish(writer)

    async with cluster(tmp_path, 3, SMALL) as made:
        leader = await made.leader()
        away = next(manager for manager in made.managers if manager is not leader)
        await away.kill()
        for number in range(60):
            await written(made, b"%d" % number, away)
        await until(lambda: leader.raft._engine._state.journal.entries[0].idx > 20)
        monkeypatch.setattr("raft.transport.snapshots.SnapshotWriter.finish", stuck)
        await away.start()
        await until(arrived.is_set)
        leader.notice_silence_soon()
        heard = leader.raft._engine.guard.heard(away.id)
        await until(lambda: leader.raft._engine.guard.heard(away.id) > heard + SECOND)
        assert away.leadership.leader_id == leader.id
        assert all(member.reachable for member in leader.raft.members())
        assert b"59" not in away.notebook.commands
        go_on.set()
        await everywhere([away], b"59")


async def test_a_removed_manager_is_told_and_refused(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        victim = next(manager for manager in made.managers if manager is not leader)
        await leader.raft.remove_member(victim.id)
        assert len(leader.raft.members()) == 2
        await asyncio.wait_for(victim.raft.removed.wait(), PATIENCE)
        with pytest.raises(PermissionDenied, match="cannot come back with its old state"):
            await victim.raft.join(leader.addr)
        await victim.stop()
        wipe(victim.folder)
        await victim.start()
        assert len(await victim.raft.join(leader.addr)) == 3


async def test_ROL_01_removing_one_too_many_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        dead, alive = (manager for manager in made.managers if manager is not leader)
        await dead.kill()
        await until(lambda: sum(m.reachable for m in leader.raft.members()) == 2)
        with pytest.raises(FailedPrecondition, match="would lose its quorum: only 1 of the 2 remaining"):
            await leader.raft.remove_member(alive.id)
        await leader.raft.remove_member(dead.id)
        await leader.raft.remove_member(alive.id)
        with pytest.raises(FailedPrecondition, match="the last manager cannot be removed"):
            await leader.raft.remove_member(leader.id)
        await written(made, b"alone", dead, alive)


async def test_ROL_01_a_leader_asked_to_remove_itself_hands_over_first(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        first = await made.leader()
        with pytest.raises(NotLeader):
            await first.raft.remove_member(first.id)
        second = await made.leader(first)
        await second.raft.remove_member(first.id)
        assert first.id not in {m.node_id for m in second.raft.members()}
        await asyncio.wait_for(first.raft.removed.wait(), PATIENCE)


async def test_a_stopped_leader_hands_over_and_writes_go_on(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        first = await made.leader()
        term = first.leadership.term
        await first.stop()
        second = await made.leader(first)
        assert second.leadership.term == term + 1
        await written(made, b"after", first)


async def test_RFT_07_a_leader_whose_loop_was_blocked_hands_over_and_a_lone_one_goes_on(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        first = await made.leader()
        term = first.leadership.term
        stuck = first.raft._mailbox.stuck
        assert stuck is not None
        stuck()
        second = await made.leader(first)
        assert second.leadership.term == term + 1
        await written(made, b"after", first)
    async with cluster(tmp_path / "lone", 1) as made:
        (lone,) = made.managers
        stuck = lone.raft._mailbox.stuck
        assert stuck is not None
        stuck()
        await lone.propose(b"on it goes")


async def test_a_retry_with_the_same_request_id_is_applied_once(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        first = await made.leader()
        index = await first.raft.propose(b"once", b"request")
        assert await first.raft.propose(b"once", b"request") == index
        await first.raft.transfer_leadership()
        second = await made.leader(first)
        assert await second.raft.propose(b"once", b"request") == index
        await written(made, b"end")
        await everywhere(made.managers, b"end")
        assert all(manager.notebook.commands == [b"once", b"end"] for manager in made.managers)


async def test_followers_name_the_leader(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        follower = next(manager for manager in made.managers if manager is not leader)
        await until(lambda: follower.leadership.leader_id == leader.id)
        with pytest.raises(NotLeader, match=f"ask {leader.addr}"):
            await follower.propose(b"here")


async def test_any_manager_reads_what_was_acknowledged_before(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        followers = [manager for manager in made.managers if manager is not leader]
        await until(lambda: all(follower.leadership.leader_id == leader.id for follower in followers))
        for number in range(20):
            command = b"%d" % number
            await leader.propose(command)
            for follower in followers:
                await follower.raft.read_barrier()
                assert follower.notebook.commands[-1] == command
        await asyncio.gather(*(follower.raft.read_barrier() for follower in followers for _ in range(50)))


async def test_a_read_without_a_quorum_is_refused_with_how_many_can_be_reached(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3, HASTY) as made:
        leader = await made.leader()
        survivor, *others = sorted(made.managers, key=lambda manager: manager is leader)
        await asyncio.gather(*(manager.kill() for manager in others))
        with pytest.raises(Unavailable):
            await survivor.raft.read_barrier()
        await until(lambda: not survivor.leadership.leader_id)
        with pytest.raises(NoQuorum, match="1 of 3 managers can be reached and 2 are needed"):
            await survivor.raft.read_barrier()
