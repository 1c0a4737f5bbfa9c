"""Streams on one connection: whole, in order, in turn, and none can hurt another."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingress.relay import frames
from ingress.relay.frames import DATA, FIN, GOAWAY, OPEN, RESET, WINDOW, header, open_payload, split
from ingress.relay.leg import join
from ingress.relay.mux import BATCH, HANDSHAKE_LIMIT, MAX_BATCH, MAX_STREAMS, Mux
from ingress.relay.stream import Stream
from ingress.relay.windows import INITIAL
from tests.support.mux import BUDGET, Collector, Pair, StillLoop


class Cluster(Pair):
    """Every stream that is asked for is accepted and leads to a Collector."""

    def __init__(self, stuck: bool = False) -> None:
        self.served: list[Collector] = []
        self.asked: list[tuple[str, int]] = []
        self.stuck = stuck
        super().__init__(self.serve)

    def serve(self, stream: Stream, task_id: str, port: int) -> None:
        self.asked.append((task_id, port))
        collector = Collector(self.stuck)
        self.served.append(collector)
        stream.accept()
        join(collector, stream)

    def open(self) -> tuple[Collector, Stream]:
        """A client that has been connected."""
        answers: list[bool] = []
        stream = self.near.open("task", 80, answers.append)
        self.exchange()
        assert answers == [True]
        client = Collector()
        join(client, stream)
        return client, stream


def test_what_is_sent_arrives_and_both_ends_end() -> None:
    cluster = Cluster()
    client, _ = cluster.open()
    client.give(b"question")
    cluster.exchange()
    assert cluster.asked == [("task", 80)]
    (task,) = cluster.served
    assert task.received == b"question"
    task.give(b"answer")
    assert task.other is not None
    task.other.finish()
    cluster.exchange()
    assert (client.received, client.finished) == (b"answer", True)
    assert client.other is not None
    client.other.finish()
    cluster.exchange()
    assert task.finished
    assert (cluster.near.streams, cluster.far.streams) == (0, 0)
    assert cluster.budget.left == BUDGET


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2), st.booleans(), st.integers(1, 3 * INITIAL), st.sampled_from(["go", "stop", "stay"])
        ),
        min_size=1,
        max_size=30,
    )
)
def test_every_byte_arrives_once_and_in_order_whatever_stalls(moves: list[tuple[int, bool, int, str]]) -> None:
    cluster = Cluster()
    clients = [cluster.open()[0] for _ in range(3)]
    ends = [(client, task) for client, task in zip(clients, cluster.served, strict=True)]
    sent: dict[int, bytes] = {id(leg): b"" for pair in ends for leg in pair}
    for which, outward, size, reader in moves:
        source, sink = ends[which] if outward else ends[which][::-1]
        if reader == "stop":
            sink.stuck = True
        elif reader == "go":
            sink.let_go()
        if not source.under_way:
            data = bytes([size % 251]) * size
            source.give(data)
            sent[id(source)] += data
        cluster.exchange()
        assert all(leg.held <= 16 * INITIAL for pair in ends for leg in pair)
    for _ in range(len(moves) * 8):
        for pair in ends:
            for leg in pair:
                leg.let_go()
        cluster.exchange()
    for client, task in ends:
        assert task.received == sent[id(client)]
        assert client.received == sent[id(task)]
        assert client.under_way == task.under_way == 0
    assert cluster.reasons == []


def test_a_reader_that_is_stuck_is_sent_no_more_than_its_window() -> None:
    cluster = Cluster(stuck=True)
    client, _ = cluster.open()
    client.give(b"x" * INITIAL)
    client.give(b"y" * INITIAL)
    cluster.exchange()
    assert len(cluster.served[0].received) == INITIAL
    assert client.under_way == INITIAL


def test_a_short_stream_waits_for_no_ones_bulk() -> None:
    """Of everything that waits, each stream gets one frame in turn: the late short one is in the very next batch."""
    cluster = Cluster()
    bulky = [cluster.open()[0] for _ in range(3)]
    short, short_stream = cluster.open()
    cluster.near_wire.can_write = False
    for client in bulky:
        client.give(b"b" * INITIAL)
    short.give(b"short")
    cluster.near_wire.can_write = True
    cluster.near.writable()
    cluster.loop.end_turn()
    order = [
        stream for batch in cluster.near_wire.written for kind, stream, _ in split(memoryview(batch)) if kind == DATA
    ]
    assert len(order) == 4
    assert len(set(order)) == 4
    sizes = [len(batch) for batch in cluster.near_wire.written]
    assert all(size <= BATCH + frames.MAX_PAYLOAD + 4 * frames.HEADER_SIZE for size in sizes)
    assert short_stream.id in order


def test_a_waiting_bulk_stream_gets_one_frame_before_the_next_streams_turn() -> None:
    cluster = Cluster()
    one, first = cluster.open()
    two, second = cluster.open()
    for client in (one, two):  # windows that allow for several frames
        for _ in range(12):
            client.give(b"x" * INITIAL)
            cluster.exchange()
    cluster.near_wire.can_write = False
    one.give(b"1" * (4 * frames.MAX_PAYLOAD))
    two.give(b"2" * (4 * frames.MAX_PAYLOAD))
    cluster.near_wire.can_write = True
    cluster.near.writable()
    order = [stream for batch in cluster.near_wire.written for kind, stream, _ in split(memoryview(batch))]
    assert order == [first.id, second.id] * 4


def test_a_refused_stream_is_answered_and_leaves_nothing() -> None:
    pair = Pair(lambda stream, task_id, port: stream.refuse())
    answers: list[bool] = []
    pair.near.open("task", 80, answers.append)
    pair.exchange()
    assert answers == [False]
    assert (pair.near.streams, pair.far.streams) == (0, 0)


def test_a_reset_ends_the_other_leg_too() -> None:
    cluster = Cluster()
    client, stream = cluster.open()
    stream.abort()
    cluster.exchange()
    assert cluster.served[0].aborted
    assert cluster.reasons == []
    assert not client.aborted  # it is who gave up


def test_a_lost_connection_ends_every_leg_and_answers_who_waits() -> None:
    cluster = Cluster()
    client, _ = cluster.open()
    answers: list[bool] = []
    cluster.near.open("task", 80, answers.append)
    cluster.near.lost("cut")
    assert client.aborted
    assert answers == [False]
    assert cluster.reasons == ["cut"]
    assert cluster.near_wire.closed


def test_a_retired_connection_takes_no_new_streams_and_ends_with_its_last() -> None:
    cluster = Cluster()
    client, stream = cluster.open()
    cluster.far.retire()
    cluster.exchange()
    assert not cluster.near.usable
    client.give(b"still")
    cluster.exchange()
    assert cluster.served[0].received == b"still"
    stream.abort()
    cluster.exchange()
    assert cluster.near.ended
    assert cluster.far.ended


def test_a_stream_opened_while_the_connection_retires_is_refused() -> None:
    cluster = Cluster()
    cluster.open()
    answers: list[bool] = []
    cluster.near.open("task", 80, answers.append)
    cluster.far.retire()
    cluster.exchange()
    assert answers == [False]


def test_what_comes_after_a_stream_has_ended_here_is_ignored() -> None:
    cluster = Cluster()
    client, _ = cluster.open()
    client.give(b"data")
    cluster.loop.end_turn()  # on its way when the task gives up
    task = cluster.served[0]
    assert task.other is not None
    task.other.abort()
    cluster.exchange()
    assert cluster.reasons == []
    assert client.aborted


@pytest.mark.parametrize(
    ("kind", "stream", "payload"),
    [
        (DATA, 9, b"x"),  # never opened
        (DATA, 1, b"x" * frames.MAX_PAYLOAD + b"x"),
        (OPEN, 1, open_payload("task", 80)),  # again
        (WINDOW, 1, frames.window_payload(2**32 - 1)),
        (frames.OPENED, 1, b""),  # we do not open
        (GOAWAY, 9, b""),
        (99, 1, b""),
    ],
)
def test_broken_protocol_ends_the_connection(kind: int, stream: int, payload: bytes) -> None:
    cluster = Cluster()
    cluster.open()
    cluster.far.received(memoryview(header(kind, stream, len(payload)) + payload))
    assert cluster.far.ended
    assert cluster.reasons[0].startswith("broken protocol")
    assert cluster.served[0].aborted


def test_more_than_the_window_ends_the_connection() -> None:
    cluster = Cluster(stuck=True)
    cluster.open()
    chunk = header(DATA, 1, frames.MAX_PAYLOAD) + bytes(frames.MAX_PAYLOAD)
    for _ in range(INITIAL // frames.MAX_PAYLOAD + 1):
        cluster.far.received(memoryview(chunk))
    assert cluster.far.ended


def test_data_after_the_end_of_data_ends_the_connection() -> None:
    cluster = Cluster()
    cluster.open()
    cluster.far.received(memoryview(header(FIN, 1) + header(DATA, 1, 1) + b"x"))
    assert cluster.far.ended


def test_the_side_that_serves_may_not_open_streams() -> None:
    cluster = Cluster()
    payload = open_payload("task", 80)
    cluster.near.received(memoryview(header(OPEN, 1, len(payload)) + payload))
    assert cluster.near.ended


def test_streams_on_a_connection_are_bounded() -> None:
    cluster = Cluster()
    for number in range(1, MAX_STREAMS + 11):
        payload = open_payload("task", 80)
        cluster.far.received(memoryview(header(OPEN, number, len(payload)) + payload))
    assert cluster.far.streams == MAX_STREAMS
    assert not cluster.far.ended


def test_a_peer_that_asks_and_never_reads_is_cut_off() -> None:
    pair = Pair(lambda stream, task_id, port: stream.refuse())
    pair.far_wire.can_write = False
    payload = open_payload("task", 80)
    for number in range(1, MAX_BATCH // frames.HEADER_SIZE + 2):
        pair.far.received(memoryview(header(OPEN, number, len(payload)) + payload))
    pair.loop.end_turn()
    assert pair.far.ended


@given(st.binary(max_size=300))
def test_garbage_does_no_harm(data: bytes) -> None:
    cluster = Cluster()
    cluster.open()
    cluster.far.received(memoryview(data))
    assert cluster.far.streams <= 1 + len(data) // frames.HEADER_SIZE
    cluster.exchange()


def test_a_handshake_has_a_time_limit() -> None:
    loop, reasons = StillLoop(), []
    mux = Mux(loop, None, lambda _: None, lambda _, reason: reasons.append(reason))  # type: ignore[arg-type]
    loop.advance(HANDSHAKE_LIMIT - 1)
    assert not mux.ended
    loop.advance(1)
    assert reasons == ["no answer in time"]


def test_a_connection_retires_when_its_peers_certificate_expires() -> None:
    cluster = Cluster()
    cluster.open()
    cluster.loop.advance(10**18)
    assert not cluster.near.usable
    assert not cluster.near.ended


def test_reset_is_all_that_a_given_up_stream_says() -> None:
    cluster = Cluster()
    _, stream = cluster.open()
    stream.abort()
    stream.abort()
    stream.finish()
    cluster.loop.end_turn()
    assert [kind for kind, *_ in split(memoryview(b"".join(cluster.near_wire.written)))] == [RESET]
