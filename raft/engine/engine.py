"""One member, turn by turn: events in, engine and guard run, messages and outputs out.

Everything here runs in one thread, or in a simulation. Only `post`, `taken`, `latest`, `lease_until` and `quit` may be
used from another.
"""

from pathlib import Path
from random import Random
from typing import Any

from core.clock import SECOND
from core.errors import Internal
from raft import codec
from raft.api import Timing
from raft.engine import events as ev
from raft.engine import translate
from raft.engine.answers import Answers
from raft.engine.core import Clock, Core, Log, clock
from raft.engine.elections import Elections
from raft.engine.hand_over import HandOver
from raft.engine.inbox import Inbox
from raft.engine.out import Out
from raft.engine.peers import Peers
from raft.engine.proposing import Proposing
from raft.engine.reads import Reads
from raft.engine.rotation import Rotation
from raft.engine.search import Search
from raft.engine.snapshots import Snapshots
from raft.guard import Adopt, Campaign, Deliver, Guard, Read, Readable, Reply, Stop
from raft.membership import Change
from raft.messages import REGULAR, Append, AppendReply, Entry, Heartbeat, Install, Message, PreVoteReply
from raft.storage.state import State

_HAND_OVER_POLL = 0.01
_TICK_SLACK = 0.0005
"""A deadline must have passed when the engine looks."""


class Engine:
    def __init__(self, state: State, timing: Timing, outbox: ev.Outbox, rng: Random, now: Clock = clock) -> None:
        self.quit = False
        self.taken = 0
        """Bytes of messages, out of all that were posted. Any thread may read it."""
        self.latest = 0
        """Index of the latest command given out: other members may have shown it already. Any thread may read it."""
        self.lease_until = 0
        """Until then (ns of the engine's clock) nobody else can be leader. Any thread may read it."""
        self._state = state
        self._timing = timing
        self._clock = now
        self._own_id = state.owner.node_id
        self._blocking = False
        self._caught_up: set[str] = set()
        self._nudge = False
        self._told: dict[str, int] = {}
        """The commit index that each member was sent last."""
        self._install_reply: AppendReply | None = None
        self._inbox = Inbox()
        self._out = Out(outbox, state.journal)
        self._snapshots = Snapshots(state, timing.snapshot_bytes, timing.keep_entries, self._out)
        entries = Log(state.journal, state.membership, 0 if state.snapshot is None else state.snapshot.index)
        self._core = Core(self._own_id, entries, timing, self, self._snapshots)
        self._peers = Peers(self._core, state, self._own_id)
        self._guard = Guard(self._own_id, self._peers, timing.lease, timing.election_min, self._now())
        self._elections = Elections(self._core, self._guard, timing, rng)
        self._hand_over = HandOver(self._core)
        self._proposing = Proposing(entries, self._peers, self._own_id, self._out)
        self._answers = Answers(timing.silence, timing.heartbeat)
        self._search = Search(timing.answer)
        self._reads = Reads(retry=2 * timing.heartbeat, forget=timing.check_quorum)
        self._rotation = Rotation(self._core, state)
        if self._peers.voters == {self._own_id}:
            self._core.election_deadline = 0
        self._out.tell(ev.Configured(state.membership.current))
        self._status = ev.Status(-1, "", False, 0)
        self._applied = 0

    @property
    def guard(self) -> Guard:
        return self._guard

    def post(self, event: ev.Event) -> None:
        """From any thread."""
        self._inbox.put(event)

    def step(self, block: bool) -> None:
        """One turn. With `block` it then waits for the next event or deadline. What it raises stops the member."""
        self._blocking = block
        if not self._core._isLeader():
            self._before_election()
        if self._state.journal.bytes_held > self._timing.snapshot_bytes:
            self._core.forceLogCompaction()
        self._core.tick()
        self._rotation.turn(self._clock())
        self._report()

    def close(self) -> None:
        self._core.destroy()

    # -- elections

    def _before_election(self) -> None:
        request = self._elections.turn(self._clock(), self._own_id in self._peers.voters)
        if request is not None:
            self._search.asked(self._now())
            for voter in self._peers.other_voters():
                self._out.send(voter, request)
            self._out.flush()

    def leading(self) -> None:
        self._guard.leading()
        self._reads.deposed()
        self._answers.restart()
        self._told.clear()
        self._peers.installing.clear()
        self._caught_up.clear()
        self._proposing.leading()
        self._hand_over.end()

    # -- proposals

    def write_proposals(self) -> None:
        leader = self._core._isLeader()
        if not leader:
            self._proposing.refuse()
        elif self._hand_over.turn(self._now()):
            self.lease_until = 0  # before anyone else can lead
            self._out.flush()
        if self._may_write():
            self._proposing.write()
            self._follow_members()
            self._nudge = True
        if self._nudge and leader:
            self._core.send_appends()
            self._out.flush(synced=False)  # they travel while our own disk writes
        self._nudge = False
        self._report_applied()
        self._confirm_reads()
        self._out.give()  # what is committed is on this disk already: nobody waits for what is written now
        self._state.journal.sync()

    def _may_write(self) -> bool:
        """What comes during a hand-over waits: for the next leader's refusal, or us."""
        return self._proposing.may_write and not self._hand_over.under_way

    def _follow_members(self) -> None:
        for gone in self._peers.follow():
            self._guard.forget(gone)
            self._caught_up.discard(gone)

    def apply(self, command: bytes) -> None:
        index = self._core.raftLastApplied + 1
        request_id, body = codec.decode_command(REGULAR + command)
        assert body is not None
        self._nudge |= isinstance(body, Change)  # members may not wait a heartbeat for the news
        self._out.tell(ev.Committed(index, request_id, body))
        self.latest = index

    # -- snapshots

    def freeze(self, last: Entry, prev_term: int) -> None:
        self._report_applied()
        self._out.tell(ev.Freeze(last, prev_term, self._state.membership.at(last.idx)))
        self._out.give()

    def _snapshot_arrived(self, event: ev.SnapshotArrived) -> None:
        if not self._state.can_open(event.path):  # its key was replaced while it came: the leader sends it again
            event.path.unlink()
            event.done(self._peers.term, 0)
            return
        arrived = self._state.open_snapshot(event.path)
        self._install_reply = None
        self._receive(event.sender, Install(event.term, arrived.index, arrived.term), event.path)
        event.path.unlink(missing_ok=True)
        self._state.journal.sync()
        reply = self._install_reply
        event.done(self._peers.term, 0 if reply is None else reply.next_index)

    def _snapshot_sent(self, event: ev.SnapshotSent) -> None:
        self._peers.installing.discard(event.node_id)
        if event.next_index:
            sent = self._guard.heard(event.node_id)
            self._receive(event.node_id, AppendReply(event.term, event.next_index, True, True, sent))

    # -- messages

    def sent(self, receiver: str, message: dict[str, Any]) -> bool:
        """The engine sends."""
        out = translate.from_engine(message, self._peers.term)
        if out is None:
            return False
        if translate.wants_snapshot(message) and receiver not in self._peers.installing:
            self._peers.installing.add(receiver)
            self._out.tell(ev.SendSnapshot(receiver, self._peers.term))
        if isinstance(out, Append) and receiver in self._peers.installing:
            out = Heartbeat(out.term, out.commit_index)
        if isinstance(out, Append):
            self._told[receiver] = out.commit_index
            for part in translate.parts(out):
                self._queue(receiver, part)
        else:
            self._queue(receiver, out)
        return True

    def _queue(self, receiver: str, message: Message) -> None:
        message = self._guard.send(receiver, message, self._now())
        if isinstance(message, AppendReply):
            self._install_reply = message
        self._out.send(receiver, message)

    def poll(self) -> None:
        """The engine has done its turn: what it said leaves, then what has come is taken."""
        self._out.flush()
        for event in self._inbox.take(self.idle_for() if self._blocking else 0.0):
            self._handle(event)
        self._turn_reads()
        self._out.flush()
        self.lease_until = self._guard.lease_until()
        if self._core._isLeader():
            self._note_caught_up()

    def _note_caught_up(self) -> None:
        """Once for each learner, so not before the loop knows that this member leads and that they answer."""
        if not self._status.is_leader or self._applied < self._status.ready_at:
            return
        self._caught_up -= self._status.silent
        for learner in sorted(self._peers.learners - self._caught_up - self._status.silent):
            if self._guard.matched(learner) >= self._peers.committed:
                self._caught_up.add(learner)
                self._out.tell(ev.CaughtUp(learner))

    # -- reads

    def _turn_reads(self) -> None:
        now, term, leader = self._now(), self._peers.term, self._peers.leader
        request = self._reads.request(term, leader, now)
        if self._peers.is_leader:
            if request is not None:
                self._asked_to_read(self._own_id, request.round)
            for member, reply in self._reads.proven(term, self._guard.led_at(now)):
                if member == self._own_id:
                    self._reads.answered(reply.round, reply.index)
                else:
                    self._queue(member, reply)
        else:
            self._reads.deposed()
            if request is not None:
                self._queue(leader, request)
        self._confirm_reads()

    def _asked_to_read(self, member: str, round_: int) -> None:
        now, committed = self._now(), self._peers.committed
        self._reads.asked(
            member, round_, max(committed, self._proposing.ready_at), now
        )  # what is older lies before our first
        knows = member == self._own_id or self._told.get(member, 0) >= committed
        if not knows or self._guard.led_at(now) < now:
            self._nudge = True  # rather than with the next heartbeat

    def _confirm_reads(self) -> None:
        self._out.tell(*map(ev.Confirmed, self._reads.ready(self._core.raftLastApplied)))

    def idle_for(self) -> float:
        """Seconds until something is due if nothing comes."""
        now = self._clock()
        if self._core._isLeader():
            alone = not self._peers.other_voters()
            if self._hand_over.under_way:
                return _HAND_OVER_POLL
            if self._may_write() or (alone and self._proposing.in_flight):
                return 0.0
            return max(0.0, self._core.heartbeat_due() - now) + _TICK_SLACK
        if self._elections.campaign:
            return 0.0
        due = min(self._core.election_deadline, self._search.due() / SECOND)
        return max(0.0, due - now) + _TICK_SLACK

    def _handle(self, event: ev.Event) -> None:
        match event:
            case ev.Received():
                self.taken += event.size
                self._receive(event.sender, event.message)
            case ev.Propose() | ev.ProposeChange():
                self._proposing.put(event)
            case ev.Connected():
                self._peers.connect(event.node_id)
                self._nudge = True
            case ev.Disconnected():
                self._peers.disconnect(event.node_id)
                self._caught_up.discard(event.node_id)
            case ev.Confirm():
                self._reads.want(event.ticket, self._now())
            case ev.HandOver() if self._core._isLeader() and self._peers.other_voters():
                self._hand_over.begin(self._now())
            case ev.SnapshotReady():
                self._snapshots.ready(event)
            case ev.SnapshotArrived():
                self._snapshot_arrived(event)
            case ev.SnapshotSent():
                self._snapshot_sent(event)
            case ev.RotateKey():
                self._rotation.begin(event.unlock_key, event.done)
            case ev.SnapshotSettings():
                self._core.snapshot_every(event.entries)
                self._snapshots.keep_older(event.older)
            case ev.Quit():
                self.quit = True

    def _receive(self, sender: str, message: Message, path: Path | None = None) -> None:
        self._search.heard(sender)
        for action in self._guard.receive(sender, message, self._now()):
            match action:
                case Deliver(delivered):
                    if isinstance(delivered, Install) and path is not None:
                        self._snapshots.install(path)
                    self._core.deliver(sender, translate.to_engine(delivered))
                    self._nudge |= isinstance(delivered, AppendReply) and delivered.reset
                    self._follow_members()
                case Reply(reply):
                    self._queue(sender, reply)
                    if isinstance(reply, PreVoteReply) and reply.granted:
                        self._elections.granted(self._clock())
                case Campaign():
                    self._elections.campaign = True
                case Read(round_):
                    self._asked_to_read(sender, round_)
                case Readable(round_, index):
                    self._reads.answered(round_, index)
                case Adopt(term):
                    self._core.deliver(sender, translate.vote_request(term))
                case Stop(reason):
                    raise Internal(f"this manager stops before it can do harm: {reason}; have it leave and join again")

    # -- out

    def _report(self) -> None:
        self._report_applied()
        leader = self._core._isLeader()
        known = "" if self._guard.searching and not leader else self._core.leader_id
        ready_at = self._proposing.ready_at if leader else 0
        status = ev.Status(self._peers.term, known, leader, ready_at, self._silent(leader))
        if status != self._status:
            self._status = status
            self._out.tell(status)
        if self._peers.configuration_changed():
            self._out.tell(ev.Configured(self._state.membership.current))
        self._out.give()

    def _silent(self, leader: bool) -> frozenset[str]:
        """Whoever does not answer this leader; or, if it looks for one, did not answer when it asked for votes."""
        others = (self._peers.voters | self._peers.learners) - {self._own_id}
        if self._guard.searching and not leader:
            return self._search.silent(self._now(), others)
        self._search.end()
        return self._answers.silent(self._now(), others, self._guard.heard) if leader else frozenset()

    def _report_applied(self) -> None:
        if self._core.raftLastApplied > self._applied:
            self._applied = self._core.raftLastApplied
            self._out.tell(ev.AppliedTo(self._applied))

    def _now(self) -> int:
        return int(self._clock() * SECOND)
