"""The one class that knows the engine's inside. Everything private it touches is named in raft.engine.hooks."""

import zlib
from collections.abc import Callable
from typing import Any, Protocol

import pysyncobj.syncobj
from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.config import SERIALIZER_STATE
from pysyncobj.journal import Journal as JournalOfEngine
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from core.clock import SECOND
from raft import codec
from raft.api import MAX_COMMAND, Timing
from raft.engine import hooks
from raft.engine.snapshots import Snapshots
from raft.membership import Membership
from raft.messages import Entry
from raft.storage.journal import Journal

_BATCH_BYTES = MAX_COMMAND + (256 << 10)
"""Larger than any command: the engine splits what is larger by pickling it."""


class _Node(Node):  # type: ignore[misc]  # the engine has no types
    """Hashed alike in every process, so that a simulation repeats."""

    def __init__(self, node_id: str) -> None:
        super().__init__(node_id)
        self._hash = zlib.crc32(node_id.encode())

    def __hash__(self) -> int:
        return self._hash


class Owner(Protocol):
    """Whom the core asks and tells. All in the engine's thread."""

    def sent(self, receiver: str, message: dict[str, Any]) -> bool: ...
    def apply(self, command: bytes) -> None: ...
    def write_proposals(self) -> None: ...
    def poll(self) -> None: ...
    def leading(self) -> None:
        """Called just before the new leader's first entry is written."""
        ...

    def freeze(self, last: Entry, prev_term: int) -> None: ...


class Log(JournalOfEngine):  # type: ignore[misc]  # the engine has no types
    """Our journal as the engine wants it. Keeps the membership in step with what is written."""

    def __init__(self, journal: Journal, membership: Membership, snapshot_index: int) -> None:
        self.journal = journal
        self.membership = membership
        self._committed = max(1, snapshot_index)

    def add(self, command: bytes, idx: int, term: int) -> None:
        self.journal.append(Entry(command, idx, term))
        change = codec.change_of(command)
        if change is not None and idx > self.membership.base_index:
            self.membership.appended(idx, change)

    def clear(self) -> None:
        self.journal.truncate(0)

    def deleteEntriesFrom(self, position: int) -> None:
        if position < len(self.journal.entries):
            index = self.journal.entries[position].idx
            self.journal.truncate(index)
            self.membership.truncated(index)

    def deleteEntriesTo(self, position: int) -> None:
        index = self.journal.entries[position].idx
        self.journal.compact(index)
        self.membership.compacted(index)

    def __getitem__(self, position: Any) -> Any:
        return self.journal.entries[position]

    def __len__(self) -> int:
        return len(self.journal.entries)

    def _destroy(self) -> None:
        self.journal.close()

    def setRaftCommitIndex(self, index: int) -> None:
        self.journal.sync()  # nothing is applied here before it is on this disk too

    def getRaftCommitIndex(self) -> int:
        return self._committed

    def setCurrentTerm(self, term: int, candidate: str | None) -> None:
        self.journal.vote(term, candidate or "")

    def getCurrentTerm(self) -> int:
        return self.journal.term

    def getVotedForNodeId(self) -> str | None:
        return self.journal.candidate or None


class _Serializer:
    """In place of the engine's own: freezing is ours, and snapshots travel apart from its messages."""

    def __init__(self, owner: Owner, snapshots: Snapshots) -> None:
        self._owner = owner
        self._snapshots = snapshots
        self.busy = False
        self.failure: Exception | None = None

    def __fspath__(self) -> str:
        return str(self._snapshots.path)

    def checkSerializing(self) -> tuple[int, int | None]:
        if not self.busy:
            return SERIALIZER_STATE.NOT_SERIALIZING, None
        index = self._snapshots.written()
        if index is None:
            return SERIALIZER_STATE.SERIALIZING, None
        self.busy = False
        return SERIALIZER_STATE.SUCCESS, index

    def serialize(self, data: tuple[Any, ...], _: int) -> None:
        self.busy = True
        self._owner.freeze(Entry(*data[1]), data[2][2])

    def deserialize(self) -> tuple[None, Entry, Entry, tuple[()]]:
        try:
            prev, last = self._snapshots.restored()
        except Exception as error:
            self.failure = error  # S9: the engine would swallow it, and acknowledge what is not there
            raise
        return None, last, prev, ()

    def getTransmissionData(self, _: Node) -> tuple[bytes, bool, bool]:
        return b"", True, True  # "send the snapshot": our transport does

    def setTransmissionData(self, _: object) -> bool:
        return True  # it has arrived already

    def cancelTransmisstion(self, _: Node) -> None:
        """What the transport sends, it cancels."""


class _Wire(Transport):  # type: ignore[misc]  # the engine has no types
    def __init__(self, owner: Owner) -> None:
        super().__init__(None, None, [])
        self._owner = owner

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        return self._owner.sent(node.id, message)


class _Poller:
    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    def poll(self, _: float) -> None:
        self._owner.poll()


class Core(SyncObj):  # type: ignore[misc]  # the engine has no types
    """Only ever touched by the engine's thread."""

    def __init__(self, own_id: str, log: Log, timing: Timing, owner: Owner, snapshots: Snapshots) -> None:
        hooks.install()
        self._own = owner
        self.log = log
        self._serializer = _Serializer(owner, snapshots)
        self._wire = _Wire(owner)
        conf = SyncObjConf(
            autoTick=False,
            journalFile=log,
            fullDumpFile=self._serializer,
            useFork=False,
            appendEntriesUseBatch=True,
            commandsWaitLeader=False,
            dynamicMembershipChange=False,  # S6, S10: the members are read from the log, by us
            raftMinTimeout=timing.election_min / SECOND,
            raftMaxTimeout=timing.election_max / SECOND,
            appendEntriesPeriod=timing.heartbeat / SECOND,
            leaderFallbackTimeout=timing.check_quorum / SECOND,
            connectionTimeout=timing.election_max / SECOND,
            appendEntriesBatchSizeBytes=_BATCH_BYTES,
            logCompactionMinTime=1e18,
            onStateChanged=self._state_changed,
        )
        self._settings, self._keep_entries = conf, timing.keep_entries
        self.snapshot_every(timing.snapshot_entries)
        others = [_Node(voter) for voter in log.membership.current.voters if voter != own_id]
        super().__init__(_Node(own_id), others, conf, nodeClass=_Node, transport=self._wire)
        hooks.check_instance(self)
        self._idToMethod = {0: self._apply}
        self._poller = _Poller(owner)

    # -- what the engine calls

    def _checkCommandsToApply(self) -> None:
        self._own.write_proposals()

    def _apply(self, command: bytes, _doApply: bool) -> None:
        self._own.apply(command)

    def _state_changed(self, _: int, new: int) -> None:
        if new == 2:
            self._own.leading()

    # -- what we ask of it

    def snapshot_every(self, entries: int) -> None:
        self._settings.logCompactionMinEntries = entries + self._keep_entries

    def tick(self) -> None:
        self.doTick(0.0)
        self._raise_failure()

    def deliver(self, sender: str, message: dict[str, Any]) -> None:
        self._wire._onMessageReceived(_Node(sender), message)
        self._raise_failure()

    def connected(self, node_id: str, learner: bool) -> None:
        tell = self._wire._onReadonlyNodeConnected if learner else self._wire._onNodeConnected
        tell(_Node(node_id))

    def disconnected(self, node_id: str, learner: bool) -> None:
        tell = self._wire._onReadonlyNodeDisconnected if learner else self._wire._onNodeDisconnected
        tell(_Node(node_id))

    def add_voter(self, node_id: str) -> None:
        self._SyncObj__doChangeCluster(["add", node_id, _Node(node_id)])

    def remove_voter(self, node_id: str) -> None:
        self._SyncObj__doChangeCluster(["rem", node_id, _Node(node_id)])

    @property
    def freezing(self) -> bool:
        """Whether a state that was frozen is on its way to the disk."""
        return self._serializer.busy

    @property
    def can_freeze(self) -> bool:
        """Whether anything is applied. The first entry, alike in all logs, does not count."""
        return int(self.raftLastApplied) > 1

    def freeze(self) -> None:
        """Takes a snapshot of what is applied, also where none is due."""
        prev, last = map(self.log.journal.at, (self.raftLastApplied - 1, self.raftLastApplied))
        self._serializer.serialize((None, last, prev, None), 0)

    def send_appends(self) -> None:
        self._SyncObj__sendAppendEntries()

    def hand_over(self) -> bool:
        """Asks the most up-to-date member to stand for election. False if none is fully up to date yet."""
        reasons: list[int] = []
        self.transferLeadership(None, lambda _, reason: reasons.append(reason))
        return reasons == [0]

    def heartbeat_due(self) -> float:
        """Of the engine's clock, seconds. Leaders only."""
        return float(self._SyncObj__newAppendEntriesTime)

    @property
    def leader_id(self) -> str:
        node = self._getLeader()
        return "" if node is None else str(node.id)

    @property
    def election_deadline(self) -> float:
        """Of the engine's clock, seconds."""
        return float(self._SyncObj__raftElectionDeadline)

    @election_deadline.setter
    def election_deadline(self, deadline: float) -> None:
        self._SyncObj__raftElectionDeadline = deadline

    def _raise_failure(self) -> None:
        if self._serializer.failure is not None:
            raise self._serializer.failure


def clock() -> float:
    """The engine's clock, seconds: the hooks'. A simulation replaces it."""
    return float(pysyncobj.syncobj.monotonicTime())


Clock = Callable[[], float]
