"""The search for the leader."""

import asyncio
from itertools import pairwise
from random import Random

from core.errors import NotLeader, PyswarmError, Removed, Unavailable
from worker.keeper import LONGEST_PAUSE, SessionKeeper
from worker.managers import ManagerList


async def test_a_cancellation_that_grpc_took_for_the_calls_own_ends_the_search_all_the_same() -> None:
    held: list[str] = []
    begun = asyncio.Event()

    async def hold(addr: str, patience: float) -> None:
        held.append(addr)
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise NotLeader("two:2377") from None

    keeping = asyncio.create_task(SessionKeeper(ManagerList(["one:2377"]), Random(1), hold).run())
    await begun.wait()
    keeping.cancel()
    async with asyncio.timeout(30):
        await asyncio.wait([keeping])
    assert held == ["one:2377"]


async def test_that_the_node_was_removed_is_not_overwritten_by_what_others_answer() -> None:
    """A manager that comes back with its old log asks itself too, and that knows nothing."""
    answers: list[PyswarmError] = [Removed("n1"), Unavailable("this manager does not know node n1 yet")]
    refusals: list[str] = []
    done = asyncio.Event()

    async def hold(addr: str, patience: float) -> None:
        refusals.append(keeper.refusal)
        if not answers:
            keeper.welcomed()
            refusals.append(keeper.refusal)
            done.set()
            await asyncio.Event().wait()
        raise answers.pop(0)

    keeper = SessionKeeper(ManagerList(["two:2377", "one:2377"]), Random(1), hold)
    keeping = asyncio.create_task(keeper.run())
    async with asyncio.timeout(30):
        await done.wait()
    keeping.cancel()
    await asyncio.wait([keeping])
    removed = Removed("n1").message
    assert refusals == ["", removed, removed, ""]


async def test_AGT_08_hosts_without_power_cost_less_than_a_new_leader_waits() -> None:
    """Their managers let each attempt run out; the third, a follower, does not know yet who leads."""
    now = asyncio.get_running_loop().time
    asked: list[float] = []

    async def hold(addr: str, patience: float) -> None:
        if addr == "follower:2377":
            asked.append(now())
            raise NotLeader("")
        await asyncio.sleep(2)
        raise Unavailable("failed to connect")

    managers = ManagerList(["dead1:2377", "dead2:2377", "follower:2377"])
    keeping = asyncio.create_task(SessionKeeper(managers, Random(1), hold).run())
    await asyncio.sleep(1000)
    keeping.cancel()
    await asyncio.wait([keeping])
    rounds = [later - earlier for earlier, later in pairwise(asked)]
    assert min(rounds) >= 4
    assert max(rounds) <= 4 + LONGEST_PAUSE


async def test_after_a_session_that_lasted_nodes_do_not_all_come_back_at_once() -> None:
    now = asyncio.get_running_loop().time
    broke: list[float] = []
    pauses: list[float] = []

    async def hold(addr: str, patience: float) -> None:
        if broke:
            pauses.append(now() - broke[-1])
        keeper.welcomed()
        await asyncio.sleep(60)
        broke.append(now())
        raise Unavailable("the session broke")

    keeper = SessionKeeper(ManagerList(["one:2377"]), Random(1), hold)
    keeping = asyncio.create_task(keeper.run())
    await asyncio.sleep(1000)
    keeping.cancel()
    await asyncio.wait([keeping])
    assert min(pauses) > 0
