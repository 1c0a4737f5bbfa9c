"""From a caller's request to a committed and applied log entry. On the loop."""

import asyncio
import secrets

from core.clock import SECOND
from core.errors import NotLeader, PyswarmError, UnknownOutcome
from raft.api import Timing
from raft.applier import Applier
from raft.engine import events as ev
from raft.engine.core import clock
from raft.engine.engine import Engine
from raft.membership import Change, ChangePending
from raft.standing import Standing
from raft.waiters import Waiters

_CHANGE_RETRY = 0.02


class Proposals:
    def __init__(self, standing: Standing, applier: Applier, engine: Engine, timing: Timing) -> None:
        self._standing = standing
        self._applier = applier
        self._engine = engine
        self._timing = timing
        self._waiters = Waiters()
        self._tickets: dict[int, asyncio.Future[None]] = {}

    async def propose(self, event: ev.Propose | ev.ProposeChange) -> int:
        """The index at which it was applied."""
        applied = self._applier.index_of(event.request_id)
        if applied is not None:
            return applied
        future, new = self._waiters.add(event.request_id)
        if new:
            self._engine.post(event)
        done, _ = await asyncio.wait((future,), timeout=self._timing.request / SECOND)
        if not done:
            situation = self._standing.describe()
            raise UnknownOutcome(f"this change was not confirmed in time and may still be made; {situation}")
        return future.result()

    async def change(self, change: Change) -> None:
        """One at a time: waits for its turn."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timing.request / SECOND
        while True:
            try:
                await self.propose(ev.ProposeChange(secrets.token_bytes(16), change))
                return
            except ChangePending:
                if loop.time() > deadline:
                    raise
            await asyncio.sleep(_CHANGE_RETRY)

    async def confirm_read(self) -> None:
        """Returns once everything is applied here that was acknowledged when this was called.

        NoQuorum, NotLeader, or Unavailable if the leader does not answer.
        """
        leads = self._standing.leadership.is_leader and clock() * SECOND < self._engine.lease_until
        if leads and self._applier.index >= self._engine.latest:  # or another member has shown what is not applied here
            return
        ticket = secrets.randbits(63)
        readable = self._tickets[ticket] = asyncio.get_running_loop().create_future()
        self._engine.post(ev.Confirm(ticket))
        try:
            async with asyncio.timeout(self._timing.silence / SECOND):
                await readable
        except TimeoutError:
            raise self._standing.no_answer() from None
        finally:
            del self._tickets[ticket]

    # -- from the engine

    def confirmed(self, ticket: int) -> None:
        readable = self._tickets.get(ticket)
        if readable is not None and not readable.done():
            readable.set_result(None)

    def written(self, output: ev.Written) -> None:
        self._waiters.written(output.request_id, output.index)

    def refused(self, output: ev.Refused) -> None:
        error = self._standing.no_leader() if isinstance(output.error, NotLeader) else output.error
        self._waiters.fail(output.request_id, error)

    def committed(self, output: ev.Committed) -> None:
        self._waiters.resolve(output.request_id, self._applier.committed(output))

    def applied_to(self, index: int) -> None:
        """What is still waited for there was overwritten by another leader's entry: it is not applied."""
        self._waiters.fail_written(index, lambda: NotLeader(self._standing.leadership.leader_addr))

    def restored(self, index: int) -> None:
        """What came with a snapshot is known by its request id, if at all."""
        for request_id in self._waiters.waiting():
            applied = self._applier.index_of(request_id)
            if applied is not None:
                self._waiters.resolve(request_id, applied)
        self._waiters.fail_written(index, UnknownOutcome)

    def quorum_lost(self) -> None:
        situation = self._standing.describe()
        self._waiters.fail_all(
            lambda: UnknownOutcome(
                f"the quorum was lost before this change was confirmed; it may still be made; {situation}"
            )
        )

    def end(self, reason: PyswarmError) -> None:
        """What is waited for may be in the log of others already."""
        self._waiters.fail_all(
            lambda: UnknownOutcome("this manager stopped before it could confirm this change; it may have been made")
        )
        for readable in self._tickets.values():
            if not readable.done():
                readable.set_exception(reason)
