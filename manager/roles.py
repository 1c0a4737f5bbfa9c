"""The role manager: makes managers of the nodes that shall be, and workers of those that shall not be any more."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from core.clock import SECOND
from core.errors import PyswarmError
from core.logs import logger
from core.model import Node, Role
from manager.replicator import Replicator
from manager.store import Commit, Store, Transaction
from raft import Consensus, Member

RETRY = 5 * SECOND
"""Between two looks: what failed may succeed by then, and who belongs to the log changes without a commit here."""

log = logger("manager.roles")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do for one node."""

    node_id: str
    role: Role
    leave_raft: bool = False
    """The node is a member still; it is removed before its role is changed."""


def next_steps(nodes: Iterable[Node], members: Sequence[Member]) -> list[Step]:
    """What is to be done, promotions first. Pure.

    A promoted node gets its new certificate, and with it joins the log itself. A demoted one has left the log before it
    loses its certificate: it must not vote as what it no longer is. A worker that is a member all the same, as its join
    was under way when it was demoted, leaves the log before anything else.
    """
    member_ids = {member.node_id for member in members}
    promotions, demotions = [], []
    for node in nodes:
        if node.role is Role.WORKER and node.id in member_ids:
            demotions.append(Step(node.id, Role.WORKER, leave_raft=True))
        elif node.role is Role.WORKER and node.spec.role is Role.MANAGER:
            promotions.append(Step(node.id, Role.MANAGER))
        elif node.role is Role.MANAGER and node.spec.role is Role.WORKER:
            demotions.append(Step(node.id, Role.WORKER, leave_raft=node.id in member_ids))
    return promotions + demotions


class RoleManager:
    """To be run only while this manager leads; one change at a time.

    `is_worker` tells whether a node is here with a worker's certificate. Only then it is promoted: one that is demoted
    and at once promoted again must have been a worker, and so have thrown its old log away, before it can join anew.
    """

    def __init__(
        self, store: Store, replicator: Replicator, consensus: Consensus, is_worker: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._replicator = replicator
        self._consensus = consensus
        self._is_worker = is_worker
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        unwatch = self._store.watch(self._take)
        try:
            while True:
                self._wake.clear()
                await self._work()
                await self._sleep(RETRY)
        finally:
            unwatch()

    async def _work(self) -> None:
        for step in next_steps(self._store.nodes(), self._consensus.members()):
            if step.role is Role.MANAGER and not self._is_worker(step.node_id):
                continue
            try:
                await self._carry_out(step)
            except PyswarmError as error:
                log.warning(
                    "a role could not be changed yet", node=step.node_id, role=step.role.name, reason=error.message
                )

    async def _carry_out(self, step: Step) -> None:
        if step.leave_raft:
            # A leader that is to leave hands over its leadership instead, and raises; the next one goes on from here.
            await self._consensus.remove_member(step.node_id)
        await self._replicator.update(lambda tx: set_role(tx, step))
        log.info("role changed", node=step.node_id, role=step.role.name)

    async def _sleep(self, nanoseconds: int) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(nanoseconds / SECOND):
                await self._wake.wait()

    def _take(self, commit: Commit) -> None:
        if commit.restored or any(isinstance(event.object, Node) for event in commit.events):
            self._wake.set()


def set_role(tx: Transaction, step: Step) -> None:
    """A demotion is finished even if the node shall be a manager again: it has left the log, and must join it anew."""
    node = tx.node(step.node_id)
    if node is None or node.role is step.role:
        return
    if step.role is Role.WORKER:
        tx.update(replace(node, role=Role.WORKER, manager=None))
    elif node.spec.role is Role.MANAGER:
        tx.update(replace(node, role=Role.MANAGER))
