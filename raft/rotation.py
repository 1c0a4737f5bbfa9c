"""A new data key for the log of this member, as its manager asks for it. On the loop."""

import asyncio
from collections.abc import Callable

from raft.api import Timing
from raft.engine.events import Event, RotateKey
from raft.standing import Standing
from raft.storage.keys import check_unlock_key


async def rotate_key(
    unlock_key: bytes | None, standing: Standing, post: Callable[[Event], None], timing: Timing
) -> None:
    """See RaftNode.rotate_key."""
    check_unlock_key(unlock_key or b"")
    standing.check_running()
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()

    def finish() -> None:
        finished.set()
        standing.notify()

    def done() -> None:
        loop.call_soon_threadsafe(finish)

    post(RotateKey(unlock_key, done))
    await standing.until(finished.is_set, timing.catch_up)
