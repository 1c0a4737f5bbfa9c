"""The search for the leader."""

import asyncio
from random import Random

from core.errors import NotLeader
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
