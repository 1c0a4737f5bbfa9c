"""Joins that are cut short: by the joiner's crash, by the death of the leader that let it in, for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.errors import FailedPrecondition, UnknownOutcome
from raft import wipe
from raft.membership import Change
from tests.support.managers import Cluster, Manager, cluster, until
from tests.unit.raft.test_cluster import everywhere, written


@asynccontextmanager
async def a_learner(made: Cluster, leader: Manager) -> AsyncIterator[Manager]:
    """A joiner that the leader has let in and, while the block lasts, makes no full member of."""
    joiner = Manager(made.authority, made.folder, made.timing)
    caught_up = leader.raft._members.caught_up
    leader.raft._members.caught_up = lambda node_id: None  # type: ignore[method-assign]
    await joiner.start()
    joining = asyncio.create_task(joiner.raft.join(leader.addr))
    await until(lambda: joiner.id in leader.raft._standing.agreed.learners)
    made.managers.append(joiner)
    yield joiner
    leader.raft._members.caught_up = caught_up  # type: ignore[method-assign]
    joining.cancel()
    await asyncio.gather(joining, return_exceptions=True)


def voters(manager: Manager) -> set[str]:
    return {member.node_id for member in manager.raft.members() if not member.learner}


async def test_one_that_crashes_after_it_was_let_in_joins_when_it_is_back(tmp_path: Path) -> None:
    async with cluster(tmp_path, 2) as made:
        await written(made, b"before")
        leader = await made.leader()
        async with a_learner(made, leader) as joiner:
            await joiner.kill()
            assert len(voters(leader)) == 2
            await written(made, b"without it", joiner)
        await joiner.start()
        if not joiner.raft.joined:
            await joiner.raft.join(leader.addr)
        await until(lambda: len(voters(leader)) == 3)
        await everywhere([joiner], b"without it")
        assert len(leader.raft.members()) == 3


async def test_one_that_lost_its_state_after_it_was_let_in_is_refused_until_it_is_given_up(tmp_path: Path) -> None:
    async with cluster(tmp_path, 2) as made:
        leader = await made.leader()
        async with a_learner(made, leader) as joiner:
            await joiner.kill()
        wipe(joiner.folder)
        await joiner.start()
        with pytest.raises(FailedPrecondition, match="a manager with another state"):
            await joiner.raft.join(leader.addr)
        await leader.raft.remove_member(joiner.id)
        await joiner.raft.join(leader.addr)
        await written(made, b"all in")
        await everywhere(made.managers, b"all in")


async def test_one_that_never_comes_back_is_given_up_at_no_cost(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        leader = await made.leader()
        async with a_learner(made, leader) as joiner:
            await joiner.kill()
        await leader.raft.remove_member(joiner.id)
        assert [member.node_id for member in leader.raft.members()] == [leader.id]
        await written(made, b"alone", joiner)


async def test_a_join_succeeds_though_the_leader_that_began_it_dies(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        await written(made, b"before")
        leader = await made.leader()
        joiner = Manager(made.authority, made.folder, made.timing)
        leader.raft._members.caught_up = lambda node_id: None  # type: ignore[method-assign]
        await joiner.start()
        made.managers.append(joiner)
        joining = asyncio.create_task(joiner.raft.join(leader.addr))
        await until(lambda: joiner.id in leader.raft._standing.agreed.learners)
        await leader.kill()
        members = await joining
        assert joiner.id in {member.node_id for member in members if not member.learner}
        await written(made, b"after", leader)
        await everywhere([joiner], b"after")


@pytest.mark.parametrize("made_it", [True, False], ids=["made", "not made"])
async def test_a_join_whose_outcome_is_unknown_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_it: bool
) -> None:
    """As when the leader's machine stood still for longer than a change is waited for."""
    async with cluster(tmp_path, 1) as made:
        (leader,) = made.managers
        change = leader.raft._proposals.change
        asked: list[Change] = []

        async def not_confirmed_in_time(one: Change) -> None:
            asked.append(one)
            if made_it or len(asked) > 1:
                await change(one)
            if len(asked) == 1:
                raise UnknownOutcome

        monkeypatch.setattr(leader.raft._proposals, "change", not_confirmed_in_time)
        await made.grow(1)
        assert len(voters(leader)) == 2
        assert len(asked) > 1
