"""What clients want in the log: written by a leader, refused by anyone else. In the engine's thread."""

from collections import deque

from core.errors import NotLeader, PyswarmError
from raft import codec
from raft.engine import events as ev
from raft.engine.core import Log
from raft.engine.out import Out
from raft.engine.peers import Peers
from raft.membership import check_change

_A_TURN = 256

Proposal = ev.Propose | ev.ProposeChange


class Proposing:
    def __init__(self, log: Log, peers: Peers, own_id: str, out: Out) -> None:
        self._log = log
        self._peers = peers
        self._own_id = own_id
        self._out = out
        self._waiting: deque[Proposal] = deque()
        self.ready_at = 0
        """The first entry of this member's own leadership."""

    def put(self, proposal: Proposal) -> None:
        self._waiting.append(proposal)

    def leading(self) -> None:
        """Called just before the new leader's first entry is written."""
        self.ready_at = self._log.journal.entries[-1].idx + 1

    @property
    def may_write(self) -> bool:
        """What comes while a round is in flight goes together in the next."""
        return bool(self._waiting) and not self.in_flight

    @property
    def in_flight(self) -> bool:
        return self._peers.committed < self._peers.last_index

    def refuse(self) -> None:
        """This member does not lead."""
        while self._waiting:
            self._out.tell(ev.Refused(self._waiting.popleft().request_id, NotLeader()))

    def write(self) -> None:
        """A turn's worth of what waits."""
        for _ in range(min(len(self._waiting), _A_TURN)):
            self._write(self._waiting.popleft())

    def _write(self, proposal: Proposal) -> None:
        index = self._log.journal.entries[-1].idx + 1
        if isinstance(proposal, ev.Propose):
            command = proposal.command
        else:
            try:
                committed = self._peers.committed
                check_change(self._log.membership, proposal.change, self._own_id, self.ready_at, committed)
            except PyswarmError as error:
                self._out.tell(ev.Refused(proposal.request_id, error))
                return
            command = codec.encode_change(proposal.request_id, proposal.change)
        self._log.add(command, index, self._peers.term)
        self._out.tell(ev.Written(proposal.request_id, index))
