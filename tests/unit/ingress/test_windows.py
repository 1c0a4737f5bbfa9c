"""Flow control: what is under way is bounded, what has been passed on is offered again, and nothing leaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.relay.frames import ProtocolError
from ingress.relay.windows import INITIAL, LARGEST, LIMIT, Budget, ReceiveWindow, SendWindow

steps = st.lists(st.tuples(st.sampled_from(["send", "pass on"]), st.integers(1, LARGEST)), max_size=60)


@given(steps, st.integers(0, 4 * LARGEST))
def test_a_sender_within_its_window_never_exceeds_the_receivers(moves: list[tuple[str, int]], size: int) -> None:
    budget = Budget(size)
    sender, receiver = SendWindow(), ReceiveWindow(budget)
    held = 0
    for move, wish in moves:
        if move == "send":
            count = min(wish, sender.available)
            sender.available -= count
            receiver.received(count)
            held += count
        else:
            count = min(wish, held)
            held -= count
            sender.grant(receiver.passed_on(count))
        assert held <= receiver.size <= LARGEST
        assert sender.available + held <= receiver.size
        assert 0 <= budget.left <= size
    receiver.close()
    assert budget.left == size


@given(st.integers(1, INITIAL))
def test_a_reader_that_passes_everything_on_never_blocks_its_sender(chunk: int) -> None:
    sender, receiver = SendWindow(), ReceiveWindow(Budget(0))
    for _ in range(40):
        count = min(chunk, sender.available)
        assert count > 0
        sender.available -= count
        receiver.received(count)
        sender.grant(receiver.passed_on(count))


def test_a_reader_that_keeps_up_gets_a_larger_window_while_the_budget_lasts() -> None:
    budget = Budget(LARGEST)
    windows = [ReceiveWindow(budget) for _ in range(3)]
    for _ in range(20):
        for window in windows:
            window.received(window.size // 2)
            window.passed_on(window.size // 2)
    assert sum(window.size - INITIAL for window in windows) == LARGEST - budget.left <= LARGEST
    assert max(window.size for window in windows) > INITIAL


def test_a_slow_reader_keeps_its_small_window() -> None:
    window = ReceiveWindow(Budget(LARGEST))
    window.received(INITIAL)
    for _ in range(20):
        credit = window.passed_on(INITIAL // 2)
        window.received(credit)
    assert window.size == INITIAL


def test_more_than_the_window_breaks_the_protocol() -> None:
    window = ReceiveWindow(Budget(0))
    window.received(INITIAL)
    with pytest.raises(ProtocolError):
        window.received(1)


def test_an_absurd_offer_breaks_the_protocol() -> None:
    with pytest.raises(ProtocolError):
        SendWindow().grant(LIMIT)
