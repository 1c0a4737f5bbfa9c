"""Gives the state machine what is committed, each request once, in the log's order. On the loop; no I/O of its own."""

from collections.abc import Callable, Iterator

from proto import raft_pb2 as pb
from raft import codec
from raft.api import StateMachine
from raft.engine.events import Committed, Freeze
from raft.ledger import Ledger
from raft.membership import Change, Configuration
from raft.storage.snapshot import Snapshot


class Applier:
    def __init__(self, machine: StateMachine) -> None:
        self._machine = machine
        self._ledger = Ledger()
        self.configuration = Configuration()
        """As committed, unlike the one in force, which counts from when it is written."""
        self.index = 0
        """Everything up to here is applied."""

    def committed(self, entry: Committed) -> int:
        """The index at which its request took effect: an earlier one if this is a retry."""
        earlier = self._ledger.index_of(entry.request_id)
        if earlier is not None:
            return earlier
        if isinstance(entry.body, Change):
            self.configuration = self.configuration.after(entry.body)
        else:
            self._machine.apply(entry.index, entry.request_id, entry.body)
        self._ledger.applied(entry.request_id, entry.index)
        return entry.index

    def index_of(self, request_id: bytes) -> int | None:
        return self._ledger.index_of(request_id)

    def thaw(self, snapshot: Snapshot) -> Callable[[], None]:
        """Reads a whole state, in any thread; the callable puts it in use. DamagedState if it is not whole."""
        use_machine = self._machine.thaw(snapshot.index, snapshot.chunks())
        ledger = Ledger((request.request_id, request.index) for request in snapshot.state.requests)
        configuration = codec.decode_configuration(snapshot.state)

        def use() -> None:
            use_machine()
            self._ledger, self.configuration, self.index = ledger, configuration, snapshot.index

        return use

    def restore(self, snapshot: Snapshot) -> None:
        """Both at once, for who has no event loop."""
        self.thaw(snapshot)()

    def freeze(self, at: Freeze) -> tuple[pb.RaftSnapshotState, Callable[[], Iterator[bytes]]]:
        """The state as of now, right after `at.entry`. The callable encodes the machine's part, in any thread."""
        requests = self._ledger.requests()
        state = pb.RaftSnapshotState(
            entry=codec.encode_entry(at.entry),
            prev_term=at.prev_term,
            members=[codec.encode_peer(peer) for peer in at.configuration.peers.values()],
            removed=sorted(at.configuration.removed),
            requests=[pb.RaftAppliedRequest(request_id=request_id, index=index) for request_id, index in requests],
        )
        return state, self._machine.freeze()
