"""What the node is, looked at again and again: a change is for the managers to know."""

import asyncio
import dataclasses
from collections.abc import Callable

from core.logs import logger
from core.model import NodeDescription
from worker.executor import Executor

PERIOD = 20.0
"""Seconds between two looks."""
GONE_PERIOD = 1.0
"""Seconds between two looks while the engine does not answer."""
ENGINE_GRACE = 15.0
"""Seconds an engine may be gone before the managers hear of it: a restart of the engine moves no tasks."""

log = logger("worker.node")


class NodeWatch:
    """`on_change` is called, on the loop, when `description` has become another."""

    def __init__(self, executor: Executor, on_change: Callable[[], None]) -> None:
        self.description = NodeDescription()
        self._executor = executor
        self._on_change = on_change
        self._gone_since: float | None = None
        self._wake = asyncio.Event()
        executor.on_change(self._wake.set)

    async def look(self) -> None:
        """The first look: an engine that is not there is told at once."""
        self.description = await self._executor.describe()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            gone = self._gone_since is not None or self.description.engine_error
            try:
                async with asyncio.timeout(GONE_PERIOD if gone else PERIOD):
                    await self._wake.wait()
            except TimeoutError:
                pass  # nothing has happened, but it is time to look
            self._wake.clear()
            self._consider(await self._executor.describe())

    def _consider(self, seen: NodeDescription) -> None:
        if not seen.engine_error:
            self._gone_since = None
        elif self.description.engine_error:
            return
        else:
            now = asyncio.get_running_loop().time()
            if self._gone_since is None:
                self._gone_since = now
                log.warning("the engine does not answer", error=seen.engine_error)
            if now - self._gone_since < ENGINE_GRACE:
                return
            seen = dataclasses.replace(self.description, engine_error=seen.engine_error)
        if seen != self.description:
            self.description = seen
            self._on_change()
