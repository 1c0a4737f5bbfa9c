"""One member, turn by turn: events in, engine and guard run, messages and outputs out.

Everything here runs in one thread, or in a simulation. Only `post`, `taken`, `latest`, `lease_until` and `quit` may be
used from another.
"""

import queue
from collections import deque
from pathlib import Path
from random import Random
from typing import Any

from core.clock import SECOND
from core.errors import Internal, NotLeader, PyswarmError
from core.logs import logger
from raft import codec
from raft.api import Timing
from raft.engine import events as ev
from raft.engine import translate
from raft.engine.answers import Answers
from raft.engine.core import Clock, Core, Log, clock
from raft.engine.elections import Elections
from raft.engine.peers import Peers
from raft.engine.reads import Reads
from raft.engine.rotation import Rotation
from raft.guard import Adopt, Campaign, Deliver, Guard, Read, Readable, Reply, Stop
from raft.membership import Change, check_change
from raft.messages import REGULAR, Append, AppendReply, Entry, Heartbeat, Install, Message, PreVoteReply
from raft.storage.snapshot import install_file
from raft.storage.state import State, ends

log = logger("raft.engine")
_PROPOSALS_A_TURN = 256
_EVENTS_A_TURN = 1024
_BYTES_A_TURN = 1 << 20
"""Of entries. Who catches up takes them in turns, and is not silent meanwhile."""
_HAND_OVER_WAIT = SECOND
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
        self._outbox = outbox
        self._rng = rng
        self._clock = now
        self._own_id = state.owner.node_id
        self._inbox: queue.SimpleQueue[ev.Event] = queue.SimpleQueue()
        self._blocking = False
        self._messages: list[tuple[str, Message]] = []
        self._outputs: list[ev.Output] = []
        self._proposals: deque[ev.Propose | ev.ProposeChange] = deque()
        self._caught_up: set[str] = set()
        self._nudge = False
        self._told: dict[str, int] = {}
        """The commit index that each member was sent last."""
        self._ready_at = 0
        self._hand_over_until = 0
        self._handed_over = False
        self._snapshot_ready: ev.SnapshotReady | None = None
        self._install_reply: AppendReply | None = None
        snapshot_index = 0 if state.snapshot is None else state.snapshot.index
        self._core = Core(self._own_id, Log(state.journal, state.membership, snapshot_index), timing, self)
        self._peers = Peers(self._core, state, self._own_id)
        self._guard = Guard(self._own_id, self._peers, timing.lease, timing.election_min, self._now())
        self._elections = Elections(self._core, self._guard, timing, rng)
        self._answers = Answers(timing.silence, timing.heartbeat)
        self._reads = Reads(retry=2 * timing.heartbeat, forget=timing.check_quorum)
        self._rotation = Rotation(self._core, state)
        if self._peers.voters == {self._own_id}:
            self._core.election_deadline = 0
        self._outputs.append(ev.Configured(state.membership.current))
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
            self._messages += [(voter, request) for voter in self._peers.other_voters()]
            self._flush()

    def leading(self) -> None:
        self._guard.leading()
        self._reads.deposed()
        self._answers.restart()
        self._told.clear()
        self._peers.installing.clear()
        self._caught_up.clear()
        self._ready_at = self._state.journal.entries[-1].idx + 1
        self._hand_over_until = 0

    def _try_hand_over(self) -> None:
        if self._hand_over_until and self._core._isLeader():
            if self._now() > self._hand_over_until:
                self._hand_over_until = 0
            elif not self._handed_over and self._core.hand_over():
                self._handed_over = True
                self.lease_until = 0  # before anyone else can lead
                self._flush()

    # -- proposals

    def write_proposals(self) -> None:
        self._try_hand_over()
        leader = self._core._isLeader()
        while self._proposals and not leader:
            self._outputs.append(ev.Refused(self._proposals.popleft().request_id, NotLeader()))
        if self._may_write():
            for _ in range(min(len(self._proposals), _PROPOSALS_A_TURN)):
                self._write(self._proposals.popleft())
            self._follow_members()
            self._nudge = True
        if self._nudge and leader:
            self._core.send_appends()
            self._flush(synced=False)  # they travel while our own disk writes
        self._nudge = False
        self._report_applied()
        self._confirm_reads()
        self._give()  # what is committed is on this disk already: nobody waits for what is written now
        self._state.journal.sync()

    def _may_write(self) -> bool:
        """What comes while a round is in flight goes together in the next, and what comes during a hand-over waits: for
        the next leader's refusal, or us."""
        return bool(self._proposals) and not self._in_flight() and not self._hand_over_until

    def _in_flight(self) -> bool:
        return self._peers.committed < self._peers.last_index

    def _write(self, proposal: ev.Propose | ev.ProposeChange) -> None:
        index = self._state.journal.entries[-1].idx + 1
        if isinstance(proposal, ev.Propose):
            command = proposal.command
        else:
            try:
                committed = self._peers.committed
                check_change(self._state.membership, proposal.change, self._own_id, self._ready_at, committed)
            except PyswarmError as error:
                self._outputs.append(ev.Refused(proposal.request_id, error))
                return
            command = codec.encode_change(proposal.request_id, proposal.change)
        self._core.log.add(command, index, self._peers.term)
        self._outputs.append(ev.Written(proposal.request_id, index))

    def _follow_members(self) -> None:
        for gone in self._peers.follow():
            self._guard.forget(gone)
            self._caught_up.discard(gone)

    def apply(self, command: bytes) -> None:
        index = self._core.raftLastApplied + 1
        request_id, body = codec.decode_command(REGULAR + command)
        assert body is not None
        self._nudge |= isinstance(body, Change)  # members may not wait a heartbeat for the news
        self._outputs.append(ev.Committed(index, request_id, body))
        self.latest = index

    # -- snapshots

    def freeze(self, last: Entry, prev_term: int) -> None:
        configuration = self._state.membership.at(last.idx)
        self._report_applied()
        self._outputs.append(ev.Freeze(last, prev_term, configuration))
        self._give()

    def snapshot_written(self) -> int | None:
        ready, self._snapshot_ready = self._snapshot_ready, None
        if ready is None:
            return None
        if ready.path is None or ready.index < self._peers.snapshot_index:
            if ready.path is not None:
                ready.path.unlink()  # a later one came from the leader meanwhile
            return self._state.journal.entries[0].idx
        install_file(ready.path, self._state.snapshot_path)
        self._peers.snapshot_index = ready.index
        large = self._state.journal.bytes_held > self._timing.snapshot_bytes
        kept = 0 if large else self._timing.keep_entries
        return max(self._state.journal.entries[0].idx, ready.index - 1 - kept)

    def restored(self) -> tuple[Entry, Entry]:
        snapshot = self._state.open_snapshot()
        self._peers.snapshot_index = snapshot.index
        prev, last = ends(snapshot)
        entries = self._state.journal.entries
        if len(entries) > 1 and entries[1][1:] == last[1:] and entries[0][1:] == prev[1:]:
            prev, last = entries[:2]
        else:
            self._state.membership.restart(codec.decode_configuration(snapshot.state), snapshot.index)
        self._outputs.append(ev.Restored(snapshot))
        return prev, last

    def snapshot_path(self) -> str:
        return str(self._state.snapshot_path)

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
            self._outputs.append(ev.SendSnapshot(receiver, self._peers.term))
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
            last = self._messages[-1] if self._messages else None
            if last is not None and last[0] == receiver and _supersedes(message, last[1]):
                self._messages.pop()
        self._messages.append((receiver, message))

    def poll(self) -> None:
        """The engine has done its turn: what it said leaves, then what has come is taken."""
        self._flush()
        for event in self._collect():
            self._handle(event)
        self._turn_reads()
        self._flush()
        self.lease_until = self._guard.lease_until()
        if self._core._isLeader():
            self._note_caught_up()

    def _note_caught_up(self) -> None:
        for learner in sorted(self._peers.learners - self._caught_up):
            if self._guard.matched(learner) >= self._peers.committed:
                self._caught_up.add(learner)
                self._outputs.append(ev.CaughtUp(learner))

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
        self._reads.asked(member, round_, max(committed, self._ready_at), now)  # what is older lies before our first
        knows = member == self._own_id or self._told.get(member, 0) >= committed
        if not knows or self._guard.led_at(now) < now:
            self._nudge = True  # rather than with the next heartbeat

    def _confirm_reads(self) -> None:
        self._outputs += [ev.Confirmed(ticket) for ticket in self._reads.ready(self._core.raftLastApplied)]

    def _collect(self) -> list[ev.Event]:
        found: list[ev.Event] = []
        size = 0
        try:
            if self._blocking:
                wait = self.idle_for()
                if wait > 0:
                    found.append(self._inbox.get(timeout=wait))
            while len(found) < _EVENTS_A_TURN and size < _BYTES_A_TURN:
                event = self._inbox.get_nowait()
                found.append(event)
                if isinstance(event, ev.Received) and isinstance(event.message, Append):
                    size += event.message.size
        except queue.Empty:
            pass
        return found

    def idle_for(self) -> float:
        """Seconds until something is due if nothing comes."""
        now = self._clock()
        if self._core._isLeader():
            alone = not self._peers.other_voters()
            if self._hand_over_until:
                return _HAND_OVER_POLL
            if self._may_write() or (alone and self._in_flight()):
                return 0.0
            return max(0.0, self._core.heartbeat_due() - now) + _TICK_SLACK
        if self._elections.campaign:
            return 0.0
        return max(0.0, self._core.election_deadline - now) + _TICK_SLACK

    def _handle(self, event: ev.Event) -> None:
        match event:
            case ev.Received():
                self.taken += event.size
                self._receive(event.sender, event.message)
            case ev.Propose() | ev.ProposeChange():
                self._proposals.append(event)
            case ev.Connected():
                self._peers.connect(event.node_id)
                self._nudge = True
            case ev.Disconnected():
                self._peers.disconnect(event.node_id)
                self._caught_up.discard(event.node_id)
            case ev.Confirm():
                self._reads.want(event.ticket, self._now())
            case ev.HandOver() if self._core._isLeader() and self._peers.other_voters():
                self._hand_over_until, self._handed_over = self._now() + _HAND_OVER_WAIT, False
            case ev.SnapshotReady():
                self._snapshot_ready = event
            case ev.SnapshotArrived():
                self._snapshot_arrived(event)
            case ev.SnapshotSent():
                self._snapshot_sent(event)
            case ev.RotateKey():
                self._rotation.begin(event.unlock_key, event.done)
            case ev.Quit():
                self.quit = True

    def _receive(self, sender: str, message: Message, path: Path | None = None) -> None:
        for action in self._guard.receive(sender, message, self._now()):
            match action:
                case Deliver(delivered):
                    if isinstance(delivered, Install) and path is not None:
                        install_file(path, self._state.snapshot_path)
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

    def _flush(self, synced: bool = True) -> None:
        """What was promised in a message is on disk before it leaves."""
        if synced:
            self._state.journal.sync()
        if self._messages:
            messages, self._messages = self._messages, []
            self._outbox.send(messages)

    def _report(self) -> None:
        self._report_applied()
        leader = self._core._isLeader()
        known = "" if self._guard.searching and not leader else self._core.leader_id
        others = (self._peers.voters | self._peers.learners) - {self._own_id}
        silent = self._answers.silent(self._now(), others, self._guard.heard) if leader else frozenset[str]()
        status = ev.Status(self._peers.term, known, leader, self._ready_at if leader else 0, silent)
        if status != self._status:
            self._status = status
            self._outputs.append(status)
        if self._peers.configuration_changed():
            self._outputs.append(ev.Configured(self._state.membership.current))
        self._give()

    def _report_applied(self) -> None:
        if self._core.raftLastApplied > self._applied:
            self._applied = self._core.raftLastApplied
            self._outputs.append(ev.AppliedTo(self._applied))

    def _give(self) -> None:
        if self._outputs:
            outputs, self._outputs = self._outputs, []
            self._outbox.give(outputs)

    def _now(self) -> int:
        return int(self._clock() * SECOND)


def _supersedes(later: AppendReply, earlier: Message) -> bool:
    """Of two plain acknowledgements the later says it all."""
    return (
        isinstance(earlier, AppendReply)
        and later.success
        and earlier.success
        and not (later.reset or earlier.reset)
        and later.term == earlier.term
        and later.next_index >= earlier.next_index
    )
