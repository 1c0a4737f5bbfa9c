"""Linearizable reads on any member, in the simulated world: each must see everything acknowledged before it began."""

from pathlib import Path

import pytest

from tests.support.raft_world import simulated


@pytest.mark.parametrize("seed", range(5))
def test_reads_on_any_member_see_what_was_acknowledged_before(seed: int, tmp_path: Path) -> None:
    with simulated(seed, tmp_path, 3 + 2 * (seed % 2)) as world:
        members = list(world.members.values())
        for turn in range(120):
            leader = world.leader()
            if leader is not None:
                world.propose(leader)
            world.run(world.rng.uniform(0, 0.05))
            for member in world.rng.sample(members, 2):
                world.read(member)
            if turn % 20 == 10:
                world.loss = world.rng.choice([0.0, 0.2])
                isolated = world.rng.choice(members)
                for other in members:
                    if other is not isolated:
                        world.partition(isolated.id, other.id, both=turn % 40 == 10)
            elif turn % 20 == 0:
                world.heal()
        assert world.faults["read"] > 60


def test_a_follower_reads_without_waiting_for_a_heartbeat(tmp_path: Path) -> None:
    with simulated(1, tmp_path, 3) as world:
        leader = world.leader()
        assert leader is not None
        follower = next(member for member in world.members.values() if member is not leader)
        world.propose(leader)
        world.run_until(lambda: len(world.acked) == 1, 1, "a write")
        world.read(follower)
        world.run(0.03)
        assert world.faults["read"] == 1


def test_a_leader_that_was_replaced_unknowingly_answers_no_read(tmp_path: Path) -> None:
    with simulated(2, tmp_path, 5) as world:
        old = world.leader()
        assert old is not None
        near, *far = (member for member in world.members.values() if member is not old)
        for member in far:
            for each in (old, near):
                world.partition(each.id, member.id, both=True)
        world.run_until(lambda: world.leader() not in (None, old), 3, "another leader")
        new = world.leader()
        assert new is not None
        world.propose(new)
        world.run_until(lambda: len(world.acked) == 1, 1, "a write the old leader does not know of")
        assert old.status.is_leader
        world.read(near)
        world.read(old)
        world.run(5)
        assert world.faults["read"] == 0
        world.heal()
        world.run(5)
        world.read(near)
        world.run(1)
        assert world.faults["read"] == 1
