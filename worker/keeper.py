"""Looks for the leader and holds on to it."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from core.backoff import Backoff
from core.errors import (
    DeadlineExceeded,
    NotLeader,
    PermissionDenied,
    PyswarmError,
    Removed,
    Unauthenticated,
    Unavailable,
    Untrusted,
)
from core.logs import logger
from worker.managers import ManagerList
from worker.session import is_cancelled

PATIENCE = (2.0, 8.0)
"""Seconds to wait for a manager's welcome: at first, and at most. Short at first, so that a manager that lost its power
costs little; doubled after every silent one, as all nodes may have come to one new leader at once."""

LONGEST_PAUSE = 2.0
"""Seconds between two attempts, at most. Swarm's 8 s would let nodes go down after a change of leader: they have three
heartbeats and a second to find the new one."""

log = logger("worker.session")

Hold = Callable[[str, float], Awaitable[None]]
"""Holds one session with the manager at an address, whose welcome it awaits for so many seconds. Returns if the session
was ended on this side, so that a new one is wanted at once; raises an error of core.errors otherwise."""


class SessionKeeper:
    def __init__(self, managers: ManagerList, rng: Random, hold: Hold) -> None:
        self._managers = managers
        self._backoff = Backoff(rng, limit=LONGEST_PAUSE)
        self._hold = hold
        self._patience = PATIENCE[0]
        self._addr = ""
        self.removal = ""
        """That this node was removed from the cluster, for the user. What other managers answer then (its own, when it
        comes back with an old log) says no more; only a leader that takes it all the same refutes it."""
        self._refusal = ""
        self._sent_on = False
        self._welcomed = False
        self._spent = 0.0
        """Seconds that the last attempt took of the pause that follows it: a host without power answers nobody for two
        seconds, and two of them with a pause each would take longer than a new leader waits."""

    @property
    def refusal(self) -> str:
        """Why this node and the managers do not believe each other, for the user: `removal`, or how the last attempt
        ended; empty if it did not end with that."""
        return self.removal or self._refusal

    def welcomed(self) -> None:
        """The session under way is established."""
        self.removal = self._refusal = ""
        self._welcomed = True
        self._managers.leads(self._addr)
        self._backoff.reset()
        self._patience = PATIENCE[0]

    async def run(self) -> None:
        """Until cancelled."""
        while not is_cancelled():
            self._addr = self._managers.next()
            if not (self._addr and await self._try()):
                await asyncio.sleep(max(0.0, self._backoff.next() - self._spent))

    async def _try(self) -> bool:
        """One session; True if the next one is to be tried at once."""
        now = asyncio.get_running_loop().time
        begun, self._welcomed, self._spent = now(), False, 0.0
        try:
            await self._hold(self._addr, self._patience)
        except NotLeader as error:
            log.debug("not the leader", addr=self._addr, leader=error.leader)
            self._sent_on = self._managers.not_leader(self._addr, error.leader) and not self._sent_on
            return self._sent_on
        except PyswarmError as error:
            log.info("no session", addr=self._addr, reason=error.message)
            self._refusal = _refusal(self._addr, error)
            if isinstance(error, Removed):
                self.removal = error.message
            if isinstance(error, Unavailable) and not self._welcomed:
                self._spent = now() - begun
            if isinstance(error, DeadlineExceeded):
                self._patience = min(PATIENCE[1], 2 * self._patience)
        except Exception:
            log.exception("the session failed unexpectedly", addr=self._addr)
        else:
            return True
        self._sent_on = False
        self._managers.failed(self._addr)
        return False


def _refusal(addr: str, error: PyswarmError) -> str:
    if isinstance(error, Untrusted):
        return f"{addr}: {error.message}"
    return error.message if isinstance(error, PermissionDenied | Unauthenticated) else ""
