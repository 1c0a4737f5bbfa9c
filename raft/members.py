"""Who belongs to the log, as the leader decides it: one change at a time, and never at the price of the quorum."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from core.errors import FailedPrecondition, UnknownOutcome
from core.logs import logger
from core.words import agreeing
from identity.credentials import Credentials
from raft.api import Member, Timing
from raft.joining import probe
from raft.membership import Change, ChangePending, Peer, check_join
from raft.proposals import Proposals
from raft.standing import Standing
from raft.transport.links import Links

log = logger("raft.members")


class Members:
    def __init__(
        self,
        standing: Standing,
        proposals: Proposals,
        links: Links,
        credentials: Credentials,
        timing: Timing,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._standing = standing
        self._proposals = proposals
        self._links = links
        self._credentials = credentials
        self._timing = timing
        self._spawn = spawn

    def list(self) -> tuple[Member, ...]:
        """Ordered by node id."""
        leader = self._standing.status.leader
        peers = sorted(self._standing.configuration.peers.values(), key=lambda peer: peer.node_id)
        return tuple(
            Member(
                peer.node_id, peer.addr, self._standing.reachable(peer.node_id), peer.node_id == leader, peer.learner
            )
            for peer in peers
        )

    def is_voter(self, node_id: str) -> bool:
        """For good: the entry that says so is committed."""
        return node_id in self._standing.agreed.voters

    async def add(self, node_id: str, addr: str, incarnation: int) -> None:
        self._standing.check_leader()
        peer = Peer(node_id, addr, incarnation, learner=True)
        check_join(self._standing.configuration, peer)
        held = self._standing.configuration.peers.get(node_id)
        if held is None or held.addr != addr:
            await probe(self._credentials, peer)
            await self._proposals.change(Change(peer if held is None else replace(held, addr=addr)))
        # Once it has caught up the leader makes it a full member, whoever that is by then.
        await self._standing.until(lambda: self.is_voter(node_id), self._timing.catch_up)

    async def remove(self, node_id: str) -> None:
        """Of another member than this leader."""
        self._standing.check_leader()
        await self._proposals.change(Change(self.check_removable(node_id), remove=True))

    def check_removable(self, node_id: str) -> Peer:
        """Raises FailedPrecondition if there is no such member or the rest would have no quorum."""
        configuration = self._standing.configuration
        peer = configuration.peers.get(node_id)
        if peer is None:
            raise FailedPrecondition(f"node {node_id} is not a manager")
        remaining = configuration.voters - {node_id}
        if not remaining:
            raise FailedPrecondition(
                "the last manager cannot be removed; to give up the whole cluster let it leave by force"
            )
        reachable = sum(map(self._standing.reachable, remaining))
        if reachable < len(remaining) // 2 + 1:
            raise FailedPrecondition(
                f"without {node_id} the cluster would lose its quorum: only {reachable} of the {len(remaining)} "
                f"remaining {agreeing(len(remaining), 'manager')} can be reached; bring them back first"
            )
        return peer

    def caught_up(self, node_id: str) -> None:
        """Said once for each time in which a learner answers this leader."""
        self._spawn(self._make_voter(node_id))

    async def _make_voter(self, node_id: str) -> None:
        """Not of one that has gone again: the others would have to do without it."""
        while self._standing.leadership.is_leader and self._standing.reachable(node_id):
            peer = self._standing.configuration.peers.get(node_id)
            if peer is None or not peer.learner:
                return
            try:
                await self._proposals.change(Change(replace(peer, learner=False)))
            except (ChangePending, UnknownOutcome) as error:
                log.info("a manager does not count yet", node=node_id, reason=error.message)

    def record_addresses(self) -> None:
        """The leader writes down where the members have moved to, itself included."""
        if self._standing.leadership.is_leader:
            for node_id in self._moved():
                self._spawn(self._record_address(node_id))

    async def _record_address(self, node_id: str) -> None:
        while self._standing.leadership.is_leader and (peer := self._moved().get(node_id)) is not None:
            try:
                await self._proposals.change(Change(peer))
            except (ChangePending, UnknownOutcome) as error:
                log.info("a manager's new address is not written down yet", node=node_id, reason=error.message)

    def _moved(self) -> dict[str, Peer]:
        """Members at other addresses than the log has for them, as they are there, by id."""
        own = self._standing.own
        known = self._standing.configuration.peers.get(own.node_id)
        moved = {peer.node_id: peer for peer in self._links.moved()}
        if known is not None and known.addr != own.addr:
            moved[own.node_id] = replace(known, addr=own.addr)
        return moved
