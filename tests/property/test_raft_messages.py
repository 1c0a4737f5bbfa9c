"""Whatever another manager sends: a clean refusal or an orderly stop, and nothing that a later start could not read."""

import tempfile
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Internal, InvalidArgument
from core.ids import new_id
from proto import raft_pb2 as pb
from raft import Timing, codec
from raft.engine import events as ev
from raft.engine.engine import Engine
from raft.membership import Change, Peer
from raft.messages import Entry, Message
from raft.storage import state as storage
from raft.storage.snapshot import check_state
from tests.support.wire import messages

CLUSTER, NODE, OTHER, THIRD, STRANGER = (new_id() for _ in range(5))
TIMING = Timing()


@given(messages(pb.RaftMessage))
def test_S11_any_message_is_refused_or_means_what_it_says(wire: pb.RaftMessage) -> None:
    try:
        message = codec.decode_message(wire)
    except InvalidArgument:
        return
    assert codec.decode_message(codec.encode_message(message)) == message


@given(st.binary(max_size=300) | messages(pb.RaftCommand).map(lambda command: b"\0" + command.SerializeToString()))
def test_S11_any_command_is_refused_or_can_be_applied(command: bytes) -> None:
    try:
        request_id, body = codec.decode_command(command)
    except InvalidArgument:
        return
    assert len(request_id) <= 64
    assert isinstance(body, bytes | Change | None)


@given(messages(pb.RaftSnapshotState))
def test_S9_any_state_of_a_snapshot_is_refused_or_can_be_begun_with(state: pb.RaftSnapshotState) -> None:
    try:
        check_state(state)
    except InvalidArgument:
        return
    codec.decode_configuration(state)
    assert codec.decode_entry(state.entry).idx > 1


class Nobody:
    """Takes what the engine sends and gives out."""

    def send(self, sent: list[tuple[str, Message]]) -> None:
        for _, message in sent:
            codec.encode_message(message)

    def give(self, outputs: list[ev.Output]) -> None:
        pass


def member(folder: Path, entries: int) -> storage.State:
    """One of three, with a few entries of the term 3."""
    state = storage.create(folder, CLUSTER, NODE, "10.0.0.1:2377", no_sync)
    for number, node_id in enumerate((OTHER, THIRD), 3):
        change = Change(Peer(node_id, f"10.0.0.{number}:2377", number))
        state.journal.append(Entry(codec.encode_change(b"%d" % number, change), number, 1))
    for number in range(5, 5 + entries):
        state.journal.append(Entry(codec.encode_proposal(b"%d" % number, b"x"), number, 3))
    state.journal.vote(3, "")
    state.journal.close()
    return storage.load(folder, CLUSTER, NODE, no_sync)


def no_sync(_: int) -> None:
    """Nobody's power fails here."""


def plausible(wire: pb.RaftMessage) -> pb.RaftMessage:
    """The same with numbers that come near those of the log."""
    for field, value in wire.ListFields():
        if field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                plausible(part)
        elif field.type == field.TYPE_UINT64:
            setattr(wire, field.name, value % 12)
    return wire


wires = messages(pb.RaftMessage) | messages(pb.RaftMessage).map(plausible)
senders = st.sampled_from([OTHER, THIRD, STRANGER])


@settings(max_examples=200)
@given(st.integers(0, 4), st.lists(st.tuples(senders, wires, st.sampled_from([0, 0.1, 3])), max_size=12))
def test_S11_any_messages_in_any_order_leave_a_log_that_can_be_read(
    entries: int, sent: list[tuple[str, pb.RaftMessage, float]]
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "raft"
        now = 1000.0
        engine = Engine(member(folder, entries), TIMING, Nobody(), Random(1), lambda: now)
        try:
            for node_id in (OTHER, THIRD):
                engine.post(ev.Connected(node_id))
            for sender, wire, later in sent:
                now += later
                try:
                    engine.post(ev.Received(sender, codec.decode_message(wire)))
                except InvalidArgument:
                    continue
                engine.step(block=False)
        except Internal as stop:
            assert "this manager stops before it can do harm" in stop.message  # noqa: PT017 - or it goes on
        finally:
            engine.close()
        again = storage.load(folder, CLUSTER, NODE, no_sync)
        again.journal.close()
        assert [entry.idx for entry in again.journal.entries][:4] == [1, 2, 3, 4]


def test_the_engine_of_this_test_hears_its_peers(tmp_path: Path) -> None:
    """So that the test above does not pass because nothing reaches it."""
    state = member(tmp_path / "raft", 0)
    engine = Engine(state, TIMING, Nobody(), Random(1), lambda: 1000.0)
    wire = pb.RaftMessage(term=4)
    wire.append.prev_index, wire.append.prev_term = 4, 1
    wire.append.entries.add(index=5, term=4)
    engine.post(ev.Received(OTHER, codec.decode_message(wire)))
    engine.step(block=False)
    engine.close()
    assert (state.journal.term, state.journal.entries[-1].idx) == (4, 5)
