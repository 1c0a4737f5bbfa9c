"""The manager on a node: it runs for as long as the node's certificate says that the node is one."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import Random
from typing import Any

from core.backoff import Backoff
from core.errors import PyswarmError
from core.logs import logger
from core.model import Role
from identity.credentials import Credentials
from manager.config import Founding
from manager.manager import Manager
from worker.agent import Agent

_RETRY, _LONGEST_RETRY = 1.0, 8.0
"""Seconds between attempts to become a manager, or to cease to be one: at first, and at most."""

log = logger("node")


class ManagerRole:
    """What hinders the manager (its disk, the other managers) hinders nothing else on the node: it is tried again."""

    def __init__(
        self,
        credentials: Credentials,
        agent: Agent,
        address: str,
        new_manager: Callable[[bool], Manager],
        lock: Callable[[Manager], Coroutine[Any, Any, None]],
        wipe: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        founding: Founding | None,
    ) -> None:
        """`agent` knows the other managers, and is told of this one at `address`; `new_manager` is told whether it
        founds a cluster; `lock` keeps the manager's keys locked as the cluster wants, until it is cancelled; `wipe`
        takes away a former manager's log; `spawn` runs what ends with the node."""
        self.manager: Manager | None = None
        self.problem = ""
        """Why it does not run though it should; empty when all is well."""
        self._credentials = credentials
        self._agent = agent
        self._address = address
        self._new_manager = new_manager
        self._lock = lock
        self._wipe = wipe
        self._spawn = spawn
        self._founding = founding
        self._due = asyncio.Event()
        self._tried = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        """The last manager that was given up: until it has ended the log's folder is its own."""
        self._was_worker = False
        """Since its log was wiped last: that is of a member which was taken out, whatever the node shall be by now."""

    async def start(self) -> None:
        """Returns once a founding manager leads, or a joining one is a member."""
        manager = self._new_manager(self._founding is not None)
        try:
            await manager.start(self._founding, self._agent.managers)
        except BaseException:
            await manager.stop()
            raise
        self.manager = manager
        self._spawn(self._watch(manager))
        # Should it be demoted and promoted, it joins like any other.
        self._founding = None
        self._agent.know_managers([self._address, *self._agent.managers])

    async def stop(self) -> None:
        """The node stops, or leaves. The log stays, and so does `manager`: no other is started in its place."""
        if self.manager is not None:
            await self.manager.stop()
        await self._ended()

    def look_again(self) -> None:
        """The certificate may be another. To be called for each, however soon the next one comes."""
        self._was_worker |= self._credentials.identity.role is not Role.MANAGER
        self._due.set()

    async def follow(self) -> None:
        """Starts and stops the manager as the certificate changes; that follows what the cluster wants."""
        backoff = Backoff(Random(), first=_RETRY, limit=_LONGEST_RETRY)
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._take()
            except (PyswarmError, OSError) as error:
                self._failed(str(error))
                self._tried.set()
                await self._pause(backoff.next())
                self._due.set()
            else:
                self.problem = ""
                backoff.reset()
                self._tried.set()

    async def tried(self) -> None:
        """Returns once it was tried to take the role that the certificate says: `manager` or `problem` tell how that
        went."""
        await self._tried.wait()

    async def _take(self) -> None:
        await self._ended()
        if self._was_worker:
            await self._give_up()
            self._was_worker = False
        if self._credentials.identity.role is Role.MANAGER and self.manager is None:
            await self.start()
            log.info("this node is a manager")

    async def _give_up(self) -> None:
        """Its log goes too, also one that could not be read: who is promoted again begins with an empty one."""
        if self.manager is not None:
            await self._end()
            log.info("this node is no manager any more")
        self._wipe()

    async def _watch(self, manager: Manager) -> None:
        """A manager that had to stop (its disk is full or broken) is started again until it can go on."""
        locking = asyncio.create_task(self._lock(manager))
        try:
            failure = await manager.ended()
        finally:
            locking.cancel()
        if failure is not None and self.manager is manager:
            log.error("the manager has stopped; it is started again", reason=failure)
            self.problem = f"the manager on this node has stopped: {failure}"
            await self._end()
            await asyncio.sleep(_RETRY)
            self._due.set()

    async def _end(self) -> None:
        manager, self.manager = self.manager, None
        if manager is not None:
            self._ending = asyncio.create_task(manager.stop())
        await self._ended()

    async def _ended(self) -> None:
        if self._ending is not None:
            await asyncio.shield(self._ending)

    def _failed(self, reason: str) -> None:
        problem = f"the manager on this node cannot run: {reason}"
        if problem != self.problem:
            role = self._credentials.identity.role.name.lower()
            log.warning("role not taken yet", role=role, reason=reason)
        self.problem = problem

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._due.wait()
