"""The engine as it comes, pysyncobj 0.3.17 with nothing of ours around it, as a member of a simulated world.

The scenarios of the holes run on it too, to show that each hole is there.
"""

import copy
import zlib
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pysyncobj.pickle
from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf, replicated
from pysyncobj.journal import createJournal
from pysyncobj.node import Node
from pysyncobj.serializer import Serializer
from pysyncobj.transport import Transport

from core.clock import SECOND
from core.ids import base36
from tests.support.raft_sim.disk import Crash

if TYPE_CHECKING:
    from tests.support.raft_sim.world import World

UNHOOKED = {"createJournal": createJournal, "Serializer": Serializer, "pickle": pysyncobj.pickle}
"""What our own members replace in the engine's module."""
_TICK = 0.02
_AWAY = 1e6


class _Node(Node):  # type: ignore[misc]  # the engine has no types
    """Hashed alike in every process, so that a scenario repeats."""

    def __hash__(self) -> int:
        return zlib.crc32(self.id.encode())


class _Wire(Transport):  # type: ignore[misc]
    def __init__(self, member: "StockMember") -> None:
        super().__init__(None, None, [])
        self._member = member

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        self._member.world.carry(self._member.id, node.id, copy.deepcopy(message))
        return True


class _Log(SyncObj):  # type: ignore[misc]
    def __init__(self, member: "StockMember", others: list[str], conf: SyncObjConf) -> None:
        self.member = member  # before the engine's own attributes: it is no part of the replicated state
        super().__init__(
            _Node(member.id), [_Node(other) for other in others], conf, nodeClass=_Node, transport=member.wire
        )
        self.values: list[int] = []

    @replicated  # type: ignore[untyped-decorator]
    def put(self, value: int) -> None:
        self.values.append(value)
        self.member.applied()


class StockMember:
    def __init__(self, world: "World", number: int, size: int) -> None:
        self.world = world
        self.id = base36(number, 25)
        self.life = 0
        self.running = False
        self.frozen_until = 0.0
        self.may_stand = True
        self.context = copy_context()
        self._others = [base36(other, 25) for other in range(1, size + 1) if other != number]
        self._folder = world.folder / self.id
        self._folder.mkdir()
        self._snapshot: list[tuple[str, Any]] = []
        self._stumbles = self._fails_in_compaction = False
        self.start()

    @classmethod
    def found(cls, world: "World", size: int) -> None:
        for number in range(1, size + 1):
            member = cls(world, number, size)
            world.members[member.id] = member  # type: ignore[assignment]
        for each in world.members.values():
            world.watch(each)

    # -- life

    def start(self) -> None:
        self.life += 1
        self.running = True
        self._up: set[str] = set()
        self.wire = _Wire(self)
        timing = self.world.timing
        conf = SyncObjConf(
            autoTick=False,
            journalFile=str(self._folder / "journal"),
            fullDumpFile=str(self._folder / "dump"),
            useFork=False,
            commandsWaitLeader=False,
            dynamicMembershipChange=True,
            appendEntriesPeriod=timing.heartbeat / SECOND,
            raftMinTimeout=timing.election_min / SECOND,
            raftMaxTimeout=timing.election_max / SECOND,
            leaderFallbackTimeout=timing.check_quorum / SECOND,
            logCompactionMinEntries=1e9,
            logCompactionMinTime=1e9,
        )
        self._log = _Log(self, self._others, conf)
        self._journal = self._log._SyncObj__raftLog
        self.world.loop.call_later(_TICK, self._tick, self.life)

    def crash(self) -> None:
        """As by kill -9: what was written is there."""
        if self.running:
            self.running = False
            self._log.destroy()

    def _tick(self, life: int) -> None:
        if not self.running or life != self.life:
            return
        if not self.may_stand:
            self._log._SyncObj__raftElectionDeadline = self.world.clock() + _AWAY
        try:
            self._log.doTick(0.0)
        except Crash:
            self.crash()
            return
        except OSError:
            pass  # as in the engine's own thread: it logs, waits a little and tries again
        self.world.loop.call_later(_TICK, self._tick, life)

    # -- the network

    def deliver(self, sender: str, message: dict[str, Any]) -> None:
        if message.get("serialized") is not None:
            self._snapshot.append((sender, copy.deepcopy(message)))
        self.wire._onMessageReceived(_Node(sender), copy.deepcopy(message))

    def look(self) -> None:
        for other in self._others:
            up = self.world.members[other].running and self.world.connected(self.id, other)
            if up != (other in self._up):
                (self._up.add if up else self._up.discard)(other)
                (self.wire._onNodeConnected if up else self.wire._onNodeDisconnected)(_Node(other))

    # -- what a scenario asks

    @property
    def leads(self) -> bool:
        return self.running and bool(self._log._isLeader())

    @property
    def term(self) -> int:
        return int(self._log._getTerm())

    @property
    def values(self) -> list[int]:
        return list(self._log.values)

    @property
    def members_in_force(self) -> int:
        return len(self._log.otherNodes) + 1

    def stand(self, *, at_once: bool = False) -> None:
        self._log._SyncObj__raftElectionDeadline = 0

    def propose(self, value: int) -> None:
        def done(_: object, error: int) -> None:
            if error == FAIL_REASON.SUCCESS:
                self.world.acked.append(value)

        self._log.put(value, callback=done)

    def compact(self) -> None:
        self._log.forceLogCompaction()

    def repeat_snapshot(self) -> None:
        for sender, message in list(self._snapshot):
            self.deliver(sender, message)

    def fail_in_compaction(self) -> None:
        """The process ends when the snapshot is in its place and the log still long."""

        def killed(_: int) -> None:
            raise Crash

        self._journal.deleteEntriesTo = killed
        self.compact()

    def add_at_once(self, numbers: list[int]) -> None:
        for number in numbers:
            self._log.addNodeToCluster(_Node(base36(number, 25)))

    def stumble(self) -> None:
        """The next command is applied, and then something fails in the process."""
        self._stumbles = True

    def applied(self) -> None:
        if self._stumbles:
            self._stumbles = False
            raise OSError("simulated")
