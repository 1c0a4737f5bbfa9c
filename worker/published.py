"""Hands the newest ingress state to this node's data plane, one at a time, and tells when it is in force."""

import asyncio
from collections.abc import Callable

from core.logs import logger
from core.model import IngressAck, IngressState, PublishedPorts
from worker.task_manager import RETRY_DELAY

log = logger("worker.published")


class PortsFollower:
    """Outlives sessions: what has begun to be applied is finished, and the last state stays in force without any
    manager."""

    def __init__(self, ports: PublishedPorts) -> None:
        self._ports = ports
        self._newest: tuple[IngressState, Callable[[IngressAck], None]] | None = None
        self._wake = asyncio.Event()

    def offer(self, state: IngressState, on_ack: Callable[[IngressAck], None]) -> None:
        """Replaces what is not yet being applied. `on_ack` is called, on the loop, once it is in force."""
        self._newest = (state, on_ack)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            assert self._newest is not None
            state, on_ack = self._newest
            try:
                ack = await self._ports.apply(state)
            except Exception:
                log.exception("published ports were not applied; will try again", version=state.version)
                await asyncio.sleep(RETRY_DELAY)
                self._wake.set()
            else:
                on_ack(ack)


class NoPublishedPorts:
    """For a node without a data plane (fake ones): agrees to everything."""

    async def apply(self, state: IngressState) -> IngressAck:
        return IngressAck(version=state.version)
