"""How soon a leader is replaced when its process ends, and that a broken stream alone replaces nobody."""

from pathlib import Path

import pytest

from core.clock import MILLISECOND, SECOND
from raft.api import Timing
from tests.support.raft_sim.simulated import simulated
from tests.support.raft_sim.stage import Stage

SLOW = Timing(
    heartbeat=250 * MILLISECOND,
    election_min=1000 * MILLISECOND,
    election_max=1800 * MILLISECOND,
    check_quorum=3 * SECOND,
)
"""As managers have it."""


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("seed", range(10))
def test_RFT_01_a_leader_whose_process_ends_is_replaced_right_after_its_lease(
    seed: int, size: int, tmp_path: Path
) -> None:
    with simulated(seed, tmp_path, size, timing=SLOW) as world:
        leader = world.await_leader()
        world.run(world.rng.uniform(1, 2))
        leader.crash()
        world.notice()
        world.run_until(lambda: world.leader() is not None, 0.95, "another leader, before the usual time is up")


def test_a_leader_whose_host_falls_silent_is_given_the_usual_time(tmp_path: Path) -> None:
    with simulated(1, tmp_path, 3, timing=SLOW) as world:
        leader = world.await_leader()
        world.run(1)
        leader.freeze(100)
        world.run(0.85)
        assert all(member.status.leader == leader.id for member in world.members.values())
        world.run_until(lambda: world.leader() not in (None, leader), 4, "another leader")


@pytest.mark.parametrize("both", [True, False])
def test_L1_a_broken_stream_between_two_members_changes_no_leader(both: bool, tmp_path: Path) -> None:
    with simulated(2, tmp_path, 3, timing=SLOW) as world:
        leader = world.await_leader()
        term = leader.status.term
        cut_off, other = (member for member in world.members.values() if member is not leader)
        for _ in range(5):
            world.partition(leader.id, cut_off.id, both)
            world.notice()
            world.run(4)
            assert cut_off.status.leader == ""
            assert other.status.leader == leader.id
            world.heal()
            world.notice()
            world.run(1)
        leader.propose(1)
        world.run(1)
        assert all(member.values == [1] for member in world.members.values())
        assert (world.await_leader(), leader.status.term) == (leader, term)


def test_L1_streams_that_break_for_a_moment_change_no_leader(tmp_path: Path) -> None:
    """As when certificates are renewed."""
    with simulated(3, tmp_path, 5, timing=SLOW) as world:
        leader = world.await_leader()
        term = leader.status.term
        for _ in range(20):
            for other in world.members.values():
                if other is not leader:
                    world.partition(leader.id, other.id, both=True)
            world.notice()
            world.run(0.2)
            world.heal()
            world.notice()
            world.run(0.5)
        assert (world.await_leader(), leader.status.term) == (leader, term)


def test_L1_a_grant_that_is_late_elects_nobody_within_the_lease_of_a_leader_heard_again(tmp_path: Path) -> None:
    """Else the old leader would answer reads that miss what the new one has acknowledged."""
    reached = [heard_again(seed, tmp_path / str(seed)) for seed in range(1, 7)]
    assert any(reached)


def heard_again(seed: int, folder: Path) -> bool:
    """Whether the leader still led when `follower`, which has heard it again, got the grant it had asked for before."""
    folder.mkdir()
    with simulated(seed, folder, 3) as world:
        stage = Stage(world)
        leader, follower, other = stage.members
        stage.elect(leader)
        world.run(0.3)
        leader.may_stand = other.may_stand = False
        follower.may_stand = True
        stage.cut_one_way(leader, follower, other)
        stage.hold(other, follower)
        world.run_until(lambda: stage.held(other, follower), 5, "a grant is on its way")
        world.cut.pop((leader.id, follower.id))
        world.run(0.1)
        stage.cut(leader, follower)
        reached = leader.leads and leader.holds_lease
        for deliver in world.held.pop((other.id, follower.id)):
            world.loop.call_soon(deliver, context=follower.context)
        for _ in range(200):
            world.run(0.002)
            assert not (follower.leads and leader.holds_lease)
        return reached
