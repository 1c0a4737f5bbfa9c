"""How soon a member knows whom it does not reach, in simulated time."""

from pathlib import Path

import pytest

from core.clock import SECOND
from tests.sim.raft.test_lost_leader import SLOW
from tests.support.raft_sim.member import Member
from tests.support.raft_sim.simulated import simulated
from tests.support.raft_sim.world import World

REFUSED_WITHIN = 2.0
"""Seconds, from the loss of the quorum."""


def drop_everything(world: World, member: Member) -> None:
    """No kernel says that a stream broke."""
    for other in world.members:
        if other != member.id:
            world.partition(member.id, other, both=True, noticed=False)


@pytest.mark.parametrize("size", [3, 5])
def test_a_lost_quorum_is_known_within_two_seconds_and_before_the_leader_steps_down(size: int, tmp_path: Path) -> None:
    with simulated(size, tmp_path, size, timing=SLOW) as world:
        leader = world.await_leader()
        world.run(world.rng.uniform(1, 2))
        assert leader.status.silent == frozenset()
        drop_everything(world, leader)
        others = frozenset(world.members) - {leader.id}
        world.run_until(lambda: leader.status.silent == others, REFUSED_WITHIN - 0.1, "it is known")
        assert leader.status.is_leader
        assert SLOW.silence < REFUSED_WITHIN * SECOND


def test_one_that_does_not_answer_is_known_and_one_that_answers_again_too(tmp_path: Path) -> None:
    with simulated(1, tmp_path, 3, timing=SLOW) as world:
        leader = world.await_leader()
        away = next(member for member in world.members.values() if member is not leader)
        drop_everything(world, away)
        world.run_until(lambda: leader.status.silent == {away.id}, REFUSED_WITHIN, "it is known")
        world.heal()
        world.run_until(lambda: not leader.status.silent, 1, "it is reachable again")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [3, 5])
def test_a_follower_too_knows_within_two_seconds_that_the_quorum_is_gone(seed: int, size: int, tmp_path: Path) -> None:
    """Their hosts lost power: no stream breaks, and nobody leads who would know."""
    with simulated(seed, tmp_path, size, timing=SLOW) as world:
        leader = world.await_leader()
        world.run(world.rng.uniform(1, 2))
        survivor = next(member for member in world.members.values() if member is not leader)
        drop_everything(world, survivor)
        world.run_until(lambda: not survivor.node.has_quorum, REFUSED_WITHIN, "it is known")
        assert "can be reached" in survivor.node.no_leader().message
        assert f"1 of {size}" in survivor.node.no_leader().message
        world.heal()
        world.run_until(lambda: survivor.node.has_quorum, 2, "they answer again")
        world.run_until(lambda: not survivor.status.silent, 2, "all are reachable again")
