"""The rules that make the engine safe: every message passes here before the engine sees it, and before one leaves.

Pure: no I/O, no clock of its own. S1-S11 and L1-L5 name the engine's holes (README.md). A page of the Raft paper
(Ongaro, Ousterhout, 2014) with 9.6 (PreVote), 6.2 (CheckQuorum), 6.4 (ReadIndex) and 6.4.1 (leases) of Ongaro's thesis.
"""

from collections import Counter
from dataclasses import replace

from raft.guard.actions import Action, Adopt, Campaign, Deliver, Read, Readable, Reply, Stop
from raft.guard.view import View
from raft.messages import (
    Append,
    AppendReply,
    Heartbeat,
    Install,
    Message,
    PreVoteReply,
    PreVoteRequest,
    ReadReply,
    ReadRequest,
    StaleTerm,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)

_LONG_AGO = -(1 << 62)
_DRIFT = 10
"""A leader trusts its lease for a tenth less than the others keep it: clocks do not run alike."""


class Guard:
    """`lease`: for so long (ns) after a leader spoke, nobody else is given a vote, and the leader may trust that.
    `patience`: for so long a silent leader is waited for that nothing says is gone. Not shorter than the lease.
    """

    def __init__(self, own_id: str, view: View, lease: int, patience: int, now: int) -> None:
        self._own_id = own_id
        self._view = view
        self._lease = lease
        self._patience = patience
        # What was promised before a restart is not known: silence for one lease keeps it.
        self._leader_heard = now if len(view.voters) > 1 else _LONG_AGO
        self._searching = False
        self._heard: dict[str, int] = {}
        self._matched: dict[str, int] = {}
        self._rewound: dict[str, int] = {}
        self._votes: set[tuple[int, str]] = set()
        self._round = 0
        self._grants: set[str] | None = None
        self._transfer_term = 0
        self._handed_over_term = 0
        self._ack_limit: int | None = None
        self._ack_sent = 0
        self.fired: Counter[str] = Counter()
        """How often each rule had to step in."""

    # -- what leaves

    def send(self, receiver: str, message: Message, now: int) -> Message:
        """The engine's message as it may leave."""
        match message:
            case Append() | Heartbeat():
                return replace(message, sent=now)
            case AppendReply():
                # The engine answers an Append while it is being delivered: the answer belongs to the last one received.
                limited = message.success and self._ack_limit is not None and self._ack_limit < message.next_index
                next_index = self._ack_limit if limited and self._ack_limit else message.next_index
                return replace(message, next_index=next_index, sent=self._ack_sent)
            case VoteRequest():
                return replace(message, transfer=message.term == self._transfer_term)
            case TimeoutNow():
                self._handed_over_term = message.term  # L1: the receiver may win at once, so the lease ends here
            case VoteReply():
                self._leader_heard = now  # L1: whom we voted for may lead by now
        return message

    def pre_vote(self) -> PreVoteRequest | None:
        """L1: before a term is risked, whether a quorum would vote for us. None if we need no one else's."""
        if self._view.voters == {self._own_id}:
            return None
        self._searching = True
        self._round += 1
        self._grants = set()
        return PreVoteRequest(self._view.term, self._view.last_index, self._last_term(), self._round)

    # -- what arrives

    def receive(self, sender: str, message: Message, now: int) -> list[Action]:
        """What to do about it, in order. `sender` is a manager of this cluster and was never removed from the log."""
        match message:
            case Append() | Heartbeat() | Install():
                return self._from_leader(message, now)
            case AppendReply():
                return self._append_reply(sender, message, now)
            case PreVoteRequest():
                return [self._pre_vote_request(message, now)]
            case PreVoteReply():
                return self._pre_vote_reply(sender, message)
            case VoteRequest():
                return self._vote_request(message, now)
            case VoteReply():
                return self._vote_reply(sender, message)
            case TimeoutNow():
                return self._timeout_now(sender, message)
            case StaleTerm():
                return self._adopt_if_higher(message.term)
            case ReadRequest():
                return self._read_request(sender, message)
            case ReadReply():
                return self._read_reply(sender, message)
        return self._drop("unknown")

    def _from_leader(self, message: Append | Heartbeat | Install, now: int) -> list[Action]:
        if message.term < self._view.term:
            return [*self._drop("L2"), Reply(StaleTerm(self._view.term))]  # L2: or the old leader never learns of it
        if self._view.is_leader and message.term == self._view.term:
            return self._drop("S11")  # S11: a term has one leader, and that is us
        self._leader_heard = now
        self._searching = False
        self._grants = None  # L1: whoever would have voted for us did not know that the leader is there
        if isinstance(message, Install):
            return self._install(message)
        self._ack_sent = message.sent
        if isinstance(message, Heartbeat):
            # S3: says nothing about our entries, so it commits nothing new. The reply bears no entry either.
            self.fired["S3"] += message.commit_index > self._view.committed
            heartbeat = replace(message, commit_index=min(message.commit_index, self._view.committed))
            return [Deliver(heartbeat), Reply(AppendReply(message.term, 0, False, False, message.sent))]
        return self._append(message)

    def _append(self, message: Append) -> list[Action]:
        """S2, S3: take away what we hold already, truncate on a real conflict only, commit what is verified only."""
        view, prev, entries = self._view, message.prev_index, message.entries
        self._ack_limit = None
        if any(entry.idx != prev + 1 + offset for offset, entry in enumerate(entries)):
            return self._drop("malformed")
        first = view.first_index
        if prev < first:  # what lies before is committed, hence the leader's too
            entries, prev = entries[first - prev :], first
        elif view.term_at(prev) != message.prev_term:
            if prev <= view.committed:
                return [Stop(f"the leader's log differs at the committed entry {prev}")]
            return [Deliver(message)]  # not held, or another one: the engine asks for earlier entries
        held = next((i for i, entry in enumerate(entries) if view.term_at(entry.idx) != entry.term), len(entries))
        verified = prev + len(entries)
        if held == len(entries) and verified < view.last_index:
            # Nothing new, and we hold more: it stays. But only what this leader sent is acknowledged.
            self.fired["S2"] += 1
            self._ack_limit = verified + 1
            prev, fresh = view.last_index, entries[:0]
        else:
            self.fired["S2"] += held > 0
            prev, fresh = prev + held, entries[held:]
            if fresh and prev < view.committed:
                return [Stop(f"the leader's log differs at the committed entry {prev + 1}")]
        self.fired["S3"] += message.commit_index > verified
        commit = min(message.commit_index, verified)
        term = view.term_at(prev)
        assert term is not None
        return [Deliver(Append(message.term, prev, term, commit, fresh, message.sent))]

    def _install(self, message: Install) -> list[Action]:
        """S4: a snapshot of what we hold already would roll back what came after."""
        view = self._view
        self._ack_limit, self._ack_sent = None, 0
        if message.index > view.committed and view.term_at(message.index) != message.last_term:
            return [Deliver(message)]
        self.fired["S4"] += 1
        held = max(message.index, view.committed)
        return [
            Deliver(Heartbeat(message.term, view.committed)),
            Reply(AppendReply(message.term, held + 1, True, True)),
        ]

    def _append_reply(self, sender: str, message: AppendReply, now: int) -> list[Action]:
        view = self._view
        if message.term != view.term or not view.is_leader:
            return self._drop("S1")  # S1: an answer to an older leadership
        if sender not in view.voters and sender not in view.learners:
            return self._drop("S11")
        beyond = message.next_index > view.last_index + 1
        if message.success and beyond:
            return self._drop("malformed")
        self._heard[sender] = max(self._heard.get(sender, _LONG_AGO), message.sent)
        if message.success:
            self._matched[sender] = max(self._matched.get(sender, 0), message.next_index - 1)
        elif message.reset:
            if message.sent < self._rewound.get(sender, _LONG_AGO):
                # L5: it refuses what was sent before we went back for it. Going back each time snowballs.
                return [*self._drop("L5"), Deliver(replace(message, next_index=0, reset=False))]
            self._rewound[sender] = now
            message = replace(message, next_index=max(2, min(message.next_index, view.last_index + 1)))
        return [Deliver(message)]

    def _pre_vote_request(self, message: PreVoteRequest, now: int) -> Action:
        granted = (
            message.term >= self._view.term
            and self._is_up_to_date(message.last_index, message.last_term)
            and not self._leader_expected(now)
        )
        return Reply(PreVoteReply(self._view.term, message.round, granted))

    def _pre_vote_reply(self, sender: str, message: PreVoteReply) -> list[Action]:
        if not message.granted:
            return self._adopt_if_higher(message.term)
        if self._grants is None or message.round != self._round or sender not in self._view.voters:
            return self._drop("S11")
        self._grants.add(sender)
        if not self._is_quorum(self._grants):
            return []
        self._grants = None
        return [Campaign()]

    def _vote_request(self, message: VoteRequest, now: int) -> list[Action]:
        if not message.transfer and self.leader_alive(now):
            return self._drop("L1")  # L1: whoever does not hear the leader does not depose it
        return [Deliver(message)]

    def _vote_reply(self, sender: str, message: VoteReply) -> list[Action]:
        vote = (message.term, sender)
        if message.term != self._view.term or vote in self._votes or sender not in self._view.voters:
            return self._drop("S11")  # S11: one vote each, and members' only
        self._votes = {held for held in self._votes if held[0] == message.term} | {vote}
        return [Deliver(message)]

    def _timeout_now(self, sender: str, message: TimeoutNow) -> list[Action]:
        if message.term != self._view.term or sender != self._view.leader or self._own_id not in self._view.voters:
            return self._drop("S1")
        self._transfer_term = message.term + 1
        return [Deliver(message), Campaign()]

    def _read_request(self, sender: str, message: ReadRequest) -> list[Action]:
        view = self._view
        if message.term < view.term:
            return [*self._drop("L2"), Reply(StaleTerm(view.term))]
        if message.term != view.term or not view.is_leader:
            return self._drop("S1")
        if sender not in view.voters and sender not in view.learners:
            return self._drop("S11")
        return [Read(message.round)]

    def _read_reply(self, sender: str, message: ReadReply) -> list[Action]:
        if message.term != self._view.term or sender != self._view.leader:
            return self._drop("S1")
        return [Readable(message.round, message.index)]

    # -- what follows from it

    def leader_alive(self, now: int) -> bool:
        """Whether there is a leader not to be deposed: heard lately, or ourselves while a quorum answers."""
        if self._view.is_leader:
            return now < self.lease_until()
        return now - self._leader_heard < self._lease

    def may_stand(self, now: int) -> bool:
        """L1: our own vote keeps the lease like any other: not while the leader is alive, unless it asked for it."""
        allowed = self._transfer_term == self._view.term + 1 or not self.leader_alive(now)
        self.fired["L1"] += not allowed
        return allowed

    def _leader_expected(self, now: int) -> bool:
        """Whether a leader may still be there: silent for a while only, and nothing says that it is gone."""
        if self._view.is_leader:
            return not self.handing_over and now - self.confirmed() < self._patience
        return now - self._leader_heard < (self._lease if self._leader_lost() else self._patience)

    def _leader_lost(self) -> bool:
        """Whether there is no leader in this term, or our stream to it broke: as a rule its process has ended."""
        return not self._view.leader or not self._view.linked(self._view.leader)

    def may_hurry(self, now: int) -> int | None:
        """The leader is lost: from when (own clock, ns) another may be elected without waiting for the usual time.

        None if it is not, or if hurrying has brought nothing.
        """
        since = self._leader_heard + self._lease
        return since if self._leader_lost() and now < since + self._patience else None

    @property
    def searching(self) -> bool:
        """Whether we have begun to look for another leader, and heard of none since."""
        return self._searching

    def lease_until(self) -> int:
        """Until when nobody else can have become leader (the leader's own clock, ns), if we are."""
        if not self._view.is_leader or self.handing_over:
            return _LONG_AGO
        return self.confirmed() + self._lease - self._lease // _DRIFT

    def led_at(self, now: int) -> int:
        """The latest time (own clock, ns) at which we surely were the leader: that of now while the lease holds."""
        return now if now < self.lease_until() else self.confirmed()

    def confirmed(self) -> int:
        """We surely were the leader at this time (own clock, ns): a quorum answered what was sent then, or later."""
        voters = self._view.voters
        others = sorted((self._heard.get(voter, _LONG_AGO) for voter in voters if voter != self._own_id), reverse=True)
        needed = len(voters) // 2 + 1 - (self._own_id in voters)
        return others[needed - 1] if needed else 1 << 62

    @property
    def handing_over(self) -> bool:
        """Whether another member was asked to take over in this term."""
        return self._handed_over_term == self._view.term

    def heard(self, node_id: str) -> int:
        """When the last message that `node_id` has answered was sent (own clock, ns)."""
        return self._heard.get(node_id, _LONG_AGO)

    def matched(self, node_id: str) -> int:
        """Up to where the log of `node_id` is known to be ours."""
        return self._matched.get(node_id, 0)

    def forget(self, node_id: str) -> None:
        """It is no member any more; if it comes back it begins with nothing."""
        self._heard.pop(node_id, None)
        self._matched.pop(node_id, None)
        self._rewound.pop(node_id, None)

    def leading(self) -> None:
        """We have just become leader: what older followers answered is of no use."""
        self._heard.clear()
        self._matched.clear()
        self._rewound.clear()

    def _last_term(self) -> int:
        term = self._view.term_at(self._view.last_index)
        assert term is not None
        return term

    def _is_up_to_date(self, last_index: int, last_term: int) -> bool:
        return (last_term, last_index) >= (self._last_term(), self._view.last_index)

    def _is_quorum(self, others: set[str]) -> bool:
        voters = self._view.voters
        return len((others | {self._own_id}) & voters) > len(voters) // 2

    def _adopt_if_higher(self, term: int) -> list[Action]:
        return [Adopt(term)] if term > self._view.term else []

    def _drop(self, rule: str) -> list[Action]:
        self.fired[rule] += 1
        return []
