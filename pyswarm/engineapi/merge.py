"""Several streams as one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def merged(*streams: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """What all of them give, as it comes, until the last has ended. The first error ends it."""
    waiting = {asyncio.ensure_future(anext(stream)): stream for stream in streams}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for next_ in done:
                stream = waiting.pop(next_)
                try:
                    item = next_.result()
                except StopAsyncIteration:
                    continue
                waiting[asyncio.ensure_future(anext(stream))] = stream
                yield item
    finally:
        for next_ in waiting:
            next_.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
