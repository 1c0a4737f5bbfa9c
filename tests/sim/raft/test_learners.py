"""Whoever has caught up counts, whatever happened to the leader or to its stream meanwhile, in simulated time."""

from pathlib import Path

import pytest

from tests.sim.raft.test_lost_leader import SLOW
from tests.sim.raft.test_silence import drop_everything
from tests.support.raft_sim.member import Member
from tests.support.raft_sim.simulated import simulated
from tests.support.raft_sim.world import World


def let_in(world: World, leader: Member) -> Member:
    """A joiner that is in the log of all, but does not count yet."""
    joiner = world.appear(9)
    drop_everything(world, joiner)
    world.notice()
    world.ask_to_join(joiner)
    standings = [member.node._standing for member in world.members.values() if member is not joiner]
    world.run_until(lambda: all(joiner.id in standing.agreed.learners for standing in standings), 5, "it is let in")
    assert not leader.node._members.is_voter(joiner.id)
    return joiner


def counts(world: World, joiner: Member) -> bool:
    leader = world.leader()
    return leader is not None and leader.node._members.is_voter(joiner.id)


@pytest.mark.parametrize("seed", range(5))
def test_it_counts_though_it_answers_a_new_leader_before_anyone_else_does(seed: int, tmp_path: Path) -> None:
    with simulated(seed, tmp_path, 3, timing=SLOW) as world:
        leader = world.await_leader()
        joiner = let_in(world, leader)
        others = [member.id for member in world.members.values() if member not in (leader, joiner)]
        world.delays = {(others[0], others[1]): 0.3, (others[1], others[0]): 0.3}
        world.heal()
        leader.crash()
        world.notice()
        world.run_until(lambda: counts(world, joiner), 10, "it counts")


@pytest.mark.parametrize("seed", range(5))
def test_it_counts_though_its_stream_was_silent_for_long(seed: int, tmp_path: Path) -> None:
    with simulated(seed, tmp_path, 3, timing=SLOW) as world:
        leader = world.await_leader()
        joiner = let_in(world, leader)
        world.heal()
        world.run(0)
        drop_everything(world, joiner)
        world.run_until(lambda: leader.status.silent == {joiner.id}, 5, "it is known")
        world.heal()
        world.run_until(lambda: counts(world, joiner), 5, "it counts")
