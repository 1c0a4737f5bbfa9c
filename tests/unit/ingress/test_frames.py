"""The wire format between relays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.relay.frames import (
    DATA,
    FIN,
    GOAWAY,
    HEADER_SIZE,
    MAX_PAYLOAD,
    MAX_TASK_ID,
    OPEN,
    OPENED,
    REFUSED,
    RESET,
    WINDOW,
    ProtocolError,
    header,
    open_payload,
    parse_open,
    parse_window,
    split,
    window_payload,
)

streams = st.integers(0, 2**32 - 1)
frames = (
    st.tuples(st.sampled_from([OPENED, REFUSED, FIN, RESET, GOAWAY]), streams, st.just(b""))
    | st.tuples(st.just(DATA), streams, st.binary(min_size=1, max_size=300))
    | st.tuples(st.just(WINDOW), streams, st.integers(0, 2**32 - 1).map(window_payload))
    | st.tuples(
        st.just(OPEN), streams, st.builds(open_payload, st.text("abc", min_size=1, max_size=25), st.integers(0, 65535))
    )
)


def written(items: list[tuple[int, int, bytes]]) -> bytes:
    return b"".join(header(kind, stream, len(payload)) + payload for kind, stream, payload in items)


@given(st.lists(frames, max_size=8), st.data())
def test_frames_arrive_whole_wherever_the_bytes_are_cut(
    items: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    whole = written(items)
    received, rest, position = [], b"", 0
    while position < len(whole):
        size = data.draw(st.integers(1, len(whole) - position))
        rest += whole[position : position + size]
        position += size
        for kind, stream, payload in split(memoryview(rest)):
            received.append((kind, stream, bytes(payload)))
            rest = rest[HEADER_SIZE + len(payload) :]
    assert received == items
    assert rest == b""


@given(st.binary(max_size=200))
def test_garbage_is_an_error_or_an_unfinished_frame(data: bytes) -> None:
    used = 0
    try:
        for _, _, payload in split(memoryview(data)):
            used += HEADER_SIZE + len(payload)
    except ProtocolError:
        return
    assert len(data) - used < HEADER_SIZE + MAX_PAYLOAD


@pytest.mark.parametrize(
    ("kind", "length"),
    [(0, 0), (99, 0), (DATA, 0), (DATA, MAX_PAYLOAD + 1), (DATA, 2**32 - 1), (FIN, 1), (WINDOW, 3), (OPEN, 2)],
)
def test_a_frame_that_cannot_be_is_refused_by_its_header_alone(kind: int, length: int) -> None:
    with pytest.raises(ProtocolError):
        list(split(memoryview(header(kind, 1, length))))


def test_a_task_id_has_a_longest() -> None:
    with pytest.raises(ProtocolError):
        list(split(memoryview(header(OPEN, 1, 2 + MAX_TASK_ID + 1))))


def test_a_request_and_a_credit_are_read_as_written() -> None:
    assert parse_open(memoryview(open_payload("task", 8080))) == ("task", 8080)
    assert parse_window(memoryview(window_payload(77))) == 77
    with pytest.raises(ProtocolError):
        parse_open(memoryview(b"\x00\x50\xff\xfe"))
