"""Nodes that have fallen silent: found on the loop, and written to the store as what they are."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from core.clock import SECOND, Clock
from core.logs import logger
from core.model import NodeState
from manager.dispatcher import nodes
from manager.dispatcher.liveness import Liveness
from manager.dispatcher.writes import WriteQueue

_RETRY = 0.2
_MOST_NAMED = 10

log = logger("manager.dispatcher")


class Silence:
    """`on_silent` is called with each node whose time is up, as `liveness` counts it, before the store knows."""

    def __init__(self, liveness: Liveness, writes: WriteQueue, clock: Clock, on_silent: Callable[[str], None]) -> None:
        self._liveness = liveness
        self._writes = writes
        self._clock = clock
        self._on_silent = on_silent

    async def expect(self, node_ids: Sequence[str]) -> None:
        """A new leader has heard of nobody yet. Nodes that come meanwhile are passed over."""
        await self._set_states(node_ids, NodeState.UNKNOWN, "a new leader waits for the node to come to it")
        self._liveness.expect(node_ids, self._clock.now())

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as writing:
            while True:
                silent = self._find()
                if silent:
                    writing.create_task(self._set_states(silent, NodeState.DOWN, "heartbeat failure"))
                period = self._liveness.period
                deadline = self._liveness.next_deadline()
                pause = period if deadline is None else min(period, max(0, deadline - self._clock.now()))
                woken = loop.time() + pause / SECOND
                await asyncio.sleep(pause / SECOND)
                late = int((loop.time() - woken) * SECOND)
                if late > period // 2:
                    log.warning("this manager stood still; heartbeats are excused", seconds=late / SECOND)
                    self._liveness.excuse(late)

    def _find(self) -> list[str]:
        silent = self._liveness.overdue(self._clock.now())
        if silent:
            log.warning("nodes are down", count=len(silent), nodes=silent[:_MOST_NAMED])
        for node_id in silent:
            self._on_silent(node_id)
        return silent

    async def _set_states(self, node_ids: Sequence[str], state: NodeState, message: str) -> None:
        """Of those that are still silent when it is written; tried until it is."""

        def is_silent(node_id: str) -> bool:
            return not self._liveness.is_alive(node_id)

        while True:
            writes = [
                self._writes.submit(
                    partial(nodes.set_state, node_id=node_id, state=state, message=message, holds=is_silent)
                )
                for node_id in node_ids
            ]
            results = await asyncio.gather(*writes, return_exceptions=True)
            errors = [result for result in results if result is not None]
            if not errors:
                return
            log.warning("the state of nodes was not written; will try again", error=str(errors[0]))
            await asyncio.sleep(_RETRY)
