"""Members of the log that are frozen or cut off, one way or both: nobody acknowledges or reads what is not so."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.clock import MILLISECOND, SECOND
from pyswarm.dev.network import Direction
from tests.support.member_process import Process, Refused
from tests.support.raft_member import unpacked
from tests.support.raft_processes import TIMING, World, processes
from tests.support.raft_writers import WRITERS, agreed_log, check_read, understandable, writing
from tests.support.standstill import Standstill

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
# On a busy machine an election by chance must not look like one that a fault brought about.
CALM = replace(TIMING, election_min=1500 * MILLISECOND, election_max=3 * SECOND, check_quorum=3 * SECOND)
BLOCKED = 10.0
"""Seconds: far longer than an election takes."""
SEVERAL_ELECTIONS = 2 * CALM.election_max / SECOND


async def asked_of(member: Process, count: int, what: str, **arguments: object) -> list[Any]:
    """The answers to so many questions, each on its own connection: what was said, or a `Refused`."""
    asked = (member.ask(what, **arguments) for _ in range(count))
    answers: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, dict | Refused) for answer in answers), answers
    return answers


async def test_a_leader_that_was_frozen_acknowledges_and_reads_nothing_stale(tmp_path: Path) -> None:
    refusals: list[Refused] = []
    kept: set[tuple[int, int]] = set()
    reads_answered = 0
    async with processes(tmp_path) as world:
        async with writing(world) as writers:
            for round_ in range(3):
                await writers.more(50)
                frozen = await world.leader()
                frozen.freeze()
                await world.leader(frozen)
                await writers.more(50)
                before = list(writers.acknowledged)
                stranger = WRITERS + round_
                reads = asyncio.create_task(asked_of(frozen, 20, "read"))
                writes = asyncio.create_task(asked_of(frozen, 1, "write", writer=stranger, number=1, size=8))
                await writers.more(20)
                frozen.thaw()
                for answer in (*await reads, *await writes):
                    if isinstance(answer, Refused):
                        refusals.append(answer)
                    elif "latest" in answer:
                        check_read(before, answer["latest"])
                        reads_answered += 1
                    else:
                        kept.add((stranger, 1))
                await world.caught_up(frozen)
        assert kept <= set(map(unpacked, await agreed_log(world)))
    assert all(map(understandable, refusals)), refusals
    print(f"\nasked while frozen: {len(refusals)} refused, {reads_answered} reads true, {len(kept)} writes made")


async def test_RFT_07_a_leader_whose_loop_is_blocked_is_replaced_and_loses_nothing(tmp_path: Path) -> None:
    """Its engine's thread goes on all the while, and can tell nobody."""
    async with processes(tmp_path) as world:
        async with writing(world) as writers:
            for _ in range(3):
                await writers.more(50)
                blocked = await world.leader()
                term = (await world.status(blocked))["term"]
                blocking = asyncio.create_task(blocked.ask("block", seconds=BLOCKED))
                leader = await world.leader(blocked)
                assert not blocking.done(), "another one leads while it is still blocked"
                assert (await world.status(leader))["term"] > term
                await writers.more(50)
                await blocking
                await world.caught_up(blocked)
        await agreed_log(world)


async def while_awake(tmp_path: Path, attempt: Callable[[Path], Awaitable[None]]) -> None:
    """In a folder of its own, and again if it failed while the machine stood still: then members do elect another."""
    for number in itertools.count():
        with Standstill():
            await attempt(tmp_path / str(number))
            return


async def the_only_leader(world: World, leader: Process, term: int) -> None:
    """Nobody has stood for election since: all others follow it in the term it was elected in."""
    for member in world.members:

        async def follows(member: Process = member) -> dict[str, Any]:
            """Who has not heard of its leader for a moment knows none, and stands for no election yet."""
            status = await world.status(member)
            return status if status["leader"] else {}

        status = await world.until(f"{member.name} knows a leader", follows)
        assert (status["leader"], status["term"]) == (leader.node_id, term), status


@pytest.mark.parametrize("direction", ["both", "in", "out"])
async def test_a_member_that_is_cut_off_deposes_nobody_and_comes_back(tmp_path: Path, direction: Direction) -> None:
    await while_awake(tmp_path, lambda folder: cut_a_follower_off(folder, direction))


async def cut_a_follower_off(folder: Path, direction: Direction) -> None:
    async with processes(folder, CALM) as world, writing(world) as writers:
        leader = await world.leader()
        term = (await world.status(leader))["term"]
        follower = next(member for member in world.members if member is not leader)
        world.switch.cut(follower.name, direction)
        await writers.more(50)
        await asyncio.sleep(SEVERAL_ELECTIONS)
        await writers.more(300)  # the log goes on to begin after what the follower has
        world.switch.mend(follower.name)
        await world.caught_up(follower)
        await asyncio.sleep(SEVERAL_ELECTIONS)
        await the_only_leader(world, leader, term)


@pytest.mark.parametrize("direction", ["both", "in", "out"])
async def test_a_leader_that_is_cut_off_is_replaced_once_and_obeys(tmp_path: Path, direction: Direction) -> None:
    await while_awake(tmp_path, lambda folder: cut_the_leader_off(folder, direction))


async def cut_the_leader_off(folder: Path, direction: Direction) -> None:
    async with processes(folder, CALM) as world, writing(world) as writers:
        old = await world.leader()
        world.switch.cut(old.name, direction)

        async def steps_down() -> bool:
            return not (await world.status(old))["leads"]

        leader = await world.leader(old)
        term = (await world.status(leader))["term"]
        await world.until("the old leader steps down", steps_down)
        for answer in await asked_of(old, 5, "read") + await asked_of(
            old, 1, "write", writer=WRITERS, number=1, size=8
        ):
            assert isinstance(answer, Refused)
            assert understandable(answer), answer
        await writers.more(300)
        await asyncio.sleep(SEVERAL_ELECTIONS)
        world.switch.mend(old.name)
        await world.caught_up(old)
        await asyncio.sleep(SEVERAL_ELECTIONS)
        await the_only_leader(world, leader, term)
