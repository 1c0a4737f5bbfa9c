"""Autolock: what a manager keeps on disk is locked with the cluster's unlock key as soon as the manager knows it."""

import asyncio

from core.backoff import Backoff
from core.errors import PyswarmError
from core.logs import logger
from manager.manager import Manager
from pyswarm.node.keychain import Keychain

log = logger("node")


class Locker:
    """For one node, whichever manager runs on it."""

    def __init__(self, keychain: Keychain, backoff: Backoff) -> None:
        self._keychain = keychain
        self._backoff = backoff
        self.problem = ""
        """Why the keys are not locked as they should be, for the user; empty when all is well."""

    async def follow(self, manager: Manager) -> None:
        """Until cancelled: the node's keys and the log's are locked with what `manager` knows as the unlock key, or
        unlocked when there is none any more. What fails (a full disk) is tried again."""
        changed = asyncio.Event()
        unwatch = manager.watch_unlock_key(changed.set)
        try:
            while True:
                changed.clear()
                try:
                    await self._lock(manager)
                except (PyswarmError, OSError) as error:
                    self.problem = f"the keys on this manager's disk are not locked as the cluster wants yet: {error}"
                    log.warning("keys not locked yet", reason=str(error))
                    await asyncio.sleep(self._backoff.next())
                else:
                    self.problem = ""
                    self._backoff.reset()
                    await changed.wait()
        finally:
            unwatch()

    async def _lock(self, manager: Manager) -> None:
        unlock_key = manager.unlock_key
        if unlock_key is None:
            return
        log_key = await asyncio.to_thread(self._keychain.begin_locking, unlock_key)
        if log_key is None:
            return
        await manager.lock_log(log_key)
        await asyncio.to_thread(self._keychain.finish_locking)
        log.info("this manager's keys are locked" if unlock_key else "this manager's keys are no longer locked")
