"""The search for the leader."""

import asyncio
from random import Random

from core.errors import NotLeader, PyswarmError, Removed, Unavailable
from worker.keeper import SessionKeeper
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
