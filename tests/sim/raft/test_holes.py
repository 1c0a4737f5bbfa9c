"""Holes of the engine that need a whole member to show, each by its id, in the simulated world."""

from collections.abc import Callable
from pathlib import Path

import pytest

from raft.engine import events as ev
from raft.membership import Change, Peer
from raft.storage import snapshot as snapshot_file
from raft.storage.errors import DamagedState
from tests.support.raft_world import Crash, Member, World, simulated


def leader_of(world: World) -> Member:
    world.run_until(lambda: world.leader() is not None, 10, "a leader")
    leader = world.leader()
    assert leader is not None
    return leader


def write(world: World, count: int) -> None:
    for _ in range(count):
        world.propose(leader_of(world))
        world.run(0.02)


def everywhere(world: World, command: bytes) -> Callable[[], bool]:
    return lambda: all(command in member.notebook.commands for member in world.members.values())


def install_then_crash(temporary: Path, path: Path) -> None:
    snapshot_file.install_file(temporary, path)
    raise Crash


def test_S5_a_crash_between_snapshot_and_compaction_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with simulated(1, tmp_path, 1) as world:
        (member,) = world.members.values()
        with monkeypatch.context() as patch:
            patch.setattr("raft.engine.engine.install_file", install_then_crash)
            while member.engine is not None:
                world.propose(member)
                world.run(0.02)
        acknowledged = len(world.acked)
        assert acknowledged >= 40
        member.start()
        leader_of(world)
        world.check_logs()
        assert len(member.notebook.commands) >= acknowledged


def test_S5_a_crash_while_a_leaders_snapshot_is_put_in_use_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with simulated(2, tmp_path, 3) as world:
        write(world, 5)
        away = next(member for member in world.members.values() if member is not leader_of(world))
        away.crash()
        write(world, 80)
        world.run(1)  # the others' logs begin after what it has
        with monkeypatch.context() as patch:
            patch.setattr("raft.engine.engine.install_file", install_then_crash)
            away.start()
            world.run_until(lambda: away.engine is None, 10, "the snapshot arrives")
        away.start()
        last = world.propose(leader_of(world))
        world.run_until(everywhere(world, last), 20, "it catches up")
        world.check_logs()


def test_S6_of_four_managers_added_at_once_one_is(tmp_path: Path) -> None:
    with simulated(3, tmp_path, 3) as world:
        leader = leader_of(world)
        refused: list[bytes] = []
        taken = leader.take

        def take(output: ev.Output) -> None:
            if isinstance(output, ev.Refused):
                refused.append(output.request_id)
            taken(output)

        leader.take = take  # type: ignore[method-assign]
        engine = leader.engine
        assert engine is not None
        for number in range(11, 15):
            peer = Peer(f"{number:025d}", f"new:{number}", number, learner=True)
            engine.post(ev.ProposeChange(b"add %d" % number, Change(peer)))
        leader.run()
        assert refused == [b"add 12", b"add 13", b"add 14"]
        assert len(leader.configuration.peers) == 4


def test_S9_a_snapshot_that_is_not_whole_stops_the_member_and_is_not_acknowledged(tmp_path: Path) -> None:
    with simulated(4, tmp_path, 1) as world:
        (member,) = world.members.values()
        write(world, 60)
        world.run(1)
        path = member.state.snapshot_path
        member.crash()
        data = bytearray(path.read_bytes())
        data[-20] ^= 1
        path.write_bytes(data)
        with pytest.raises(DamagedState, match=r"snapshot.*damaged at byte"):
            member.start()


def test_S10_after_a_restart_the_members_are_those_of_the_log_applied_or_not(tmp_path: Path) -> None:
    with simulated(5, tmp_path, 3) as world:
        leader = leader_of(world)
        for other in world.members.values():
            if other is not leader:
                world.partition(leader.id, other.id, both=True)
        peer = Peer(f"{11:025d}", "new:1", 11, learner=True)
        leader.post(ev.ProposeChange(b"add", Change(peer)))
        assert leader.applier.configuration.peers.keys() == world.members.keys()
        leader.crash()
        leader.start()
        assert leader.state.membership.current.peers.keys() == {*world.members, peer.node_id}
        world.run(5)  # the others have a leader of their own meanwhile
        world.heal()
        last = world.propose(leader_of(world))
        world.run_until(everywhere(world, last), 10, "the old leader follows the new one")
        assert leader.configuration.peers.keys() == world.members.keys()  # its entry was overwritten, and is undone


def test_L1_a_member_that_was_cut_off_does_not_depose_the_leader(tmp_path: Path) -> None:
    with simulated(6, tmp_path, 3) as world:
        leader = leader_of(world)
        term = leader.status.term
        away = next(member for member in world.members.values() if member is not leader)
        for other in world.members.values():
            if other is not away:
                world.partition(away.id, other.id, both=True)
        world.run(20)
        world.heal()
        last = world.propose(leader)
        world.run_until(everywhere(world, last), 5, "it catches up")
        world.run(5)
        assert (leader_of(world), leader.status.term) == (leader, term)


def test_a_leader_that_is_cut_off_one_way_steps_down_and_another_takes_over(tmp_path: Path) -> None:
    with simulated(7, tmp_path, 3) as world:
        old = leader_of(world)
        for other in world.members.values():
            if other is not old:
                world.partition(other.id, old.id, both=False)  # it is heard, and hears nobody
        world.run_until(lambda: not old.status.is_leader, 5, "it steps down")
        world.run_until(lambda: world.leader() not in (None, old), 5, "another one leads")
        world.heal()
        last = world.propose(leader_of(world))
        world.run_until(everywhere(world, last), 10, "all follow")
        world.check_logs()
