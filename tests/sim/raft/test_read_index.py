"""Linearizable reads on any member, in the simulated world: each must see everything acknowledged before it began."""

from pathlib import Path

import pytest

from core.errors import PyswarmError
from tests.support.raft_sim.member import Member
from tests.support.raft_sim.simulated import simulated
from tests.support.raft_sim.world import World


def read(world: World, member: Member) -> None:
    """Counted if it is answered."""
    acknowledged = list(world.acked)

    async def asking() -> None:
        try:
            values = await member.read(0)
        except PyswarmError:
            return
        assert set(acknowledged) <= set(values), f"a read at {member.id} misses what was acknowledged before it began"
        world.count("read")

    world.loop.spawn(asking())


@pytest.mark.parametrize("seed", range(5))
def test_reads_on_any_member_see_what_was_acknowledged_before(seed: int, tmp_path: Path) -> None:
    with simulated(seed, tmp_path, 3 + 2 * (seed % 2)) as world:
        members = list(world.members.values())
        for turn in range(120):
            leader = world.leader()
            if leader is not None:
                leader.propose(turn)
            world.run(world.rng.uniform(0, 0.05))
            for member in world.rng.sample(members, 2):
                read(world, member)
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
        leader = world.await_leader()
        follower = next(member for member in world.members.values() if member is not leader)
        leader.propose(1)
        world.run_until(lambda: world.acked == [1], 1, "a write")
        read(world, follower)
        world.run(0.04)
        assert world.faults["read"] == 1


def test_a_leader_whose_loop_is_late_reads_nothing_older_than_another_member_has_shown(tmp_path: Path) -> None:
    with simulated(3, tmp_path, 3) as world:
        leader = world.await_leader()
        follower = next(member for member in world.members.values() if member is not leader)
        shown: list[list[int]] = []

        async def asking(member: Member) -> None:
            shown.append(list(await member.read(0)))

        leader.loop_lag = 0.3
        leader.propose(1)
        world.run_until(lambda: follower.values == [1], 0.2, "the other one has applied it")
        world.loop.spawn(asking(follower))
        world.run_until(lambda: shown == [[1]], 0.1, "and shows it")
        assert leader.values == []
        world.loop.spawn(asking(leader))
        world.run_until(lambda: len(shown) == 2, 1, "the leader answers")
        assert shown[1] == [1]


def test_a_leader_that_was_replaced_unknowingly_answers_no_read(tmp_path: Path) -> None:
    with simulated(2, tmp_path, 5) as world:
        old = world.await_leader()
        near, *far = (member for member in world.members.values() if member is not old)
        for member in far:
            for each in (old, near):
                world.partition(each.id, member.id, both=True, noticed=False)
        world.run_until(lambda: world.leader() not in (None, old), 3, "another leader")
        new = world.await_leader()
        new.propose(1)
        world.run_until(lambda: world.acked == [1], 1, "a write the old leader does not know of")
        assert old.status.is_leader
        read(world, near)
        read(world, old)
        world.run(5)
        assert world.faults["read"] == 0
        world.heal()
        world.run(5)
        read(world, near)
        world.run(1)
        assert world.faults["read"] == 1
