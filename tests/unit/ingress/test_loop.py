"""The event loop: one bad handler harms nobody, and a socket's number is not used again too soon."""

import socket
from collections.abc import Callable, Iterator

import pytest

from core.clock import MILLISECOND
from ingress.relay.load import BUSY, HALF_LIFE, Load
from ingress.relay.loop import READ, Loop


class Reader:
    """Reads whenever it may, then does what it was told to."""

    def __init__(self, sock: socket.socket, then: Callable[[bytes], None]) -> None:
        self.sock = sock
        self.then = then
        self.aborted = False

    def ready(self, events: int) -> None:
        self.then(self.sock.recv(100))

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def failures() -> list[str]:
    return []


@pytest.fixture
def loop(failures: list[str]) -> Loop:
    return Loop(failures.append)


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    made = [socket.socketpair() for _ in range(2)]
    yield made
    for pair in made:
        for sock in pair:
            sock.close()


Pairs = list[tuple[socket.socket, socket.socket]]


def test_a_handler_that_fails_is_reported_and_given_up_and_others_go_on(
    loop: Loop, failures: list[str], pairs: Pairs
) -> None:
    received: list[bytes] = []
    bad = Reader(pairs[0][0], lambda data: [][1])
    good = Reader(pairs[1][0], received.append)
    for reader, (_, far) in zip((bad, good), pairs, strict=True):
        loop.watch(reader.sock, READ, reader)
        far.send(b"x")
    loop.turn()
    assert (bad.aborted, good.aborted) == (True, False)
    assert received == [b"x"]
    assert len(failures) == 1
    assert "IndexError" in failures[0]


def test_a_discarded_socket_hears_nothing_more_and_keeps_its_number_until_the_turn_ends(
    loop: Loop, pairs: Pairs
) -> None:
    (one, far_one), (two, far_two) = pairs
    heard: list[str] = []
    numbers: list[int] = []

    def first_to_hear(name: str, other: socket.socket) -> Callable[[bytes], None]:
        def then(data: bytes) -> None:
            heard.append(name)
            loop.discard(other)
            numbers.append(other.fileno())

        return then

    loop.watch(one, READ, Reader(one, first_to_hear("one", two)))
    loop.watch(two, READ, Reader(two, first_to_hear("two", one)))
    far_one.send(b"x")
    far_two.send(b"x")
    loop.turn()
    assert len(heard) == 1
    assert numbers[0] >= 0
    assert -1 in (one.fileno(), two.fileno())


def test_timers_run_in_order_unless_they_are_cancelled(loop: Loop) -> None:
    order: list[str] = []
    loop.call_later(2 * MILLISECOND, lambda: order.append("second"))
    loop.call_later(1 * MILLISECOND, lambda: order.append("first"))
    loop.call_later(1 * MILLISECOND, lambda: order.append("never")).cancel()
    loop.call_later(3 * MILLISECOND, loop.stop)
    loop.run()
    assert order == ["first", "second"]


def test_what_is_put_off_is_done_in_the_same_turn_even_by_what_was_put_off(loop: Loop) -> None:
    done: list[str] = []
    loop.at_end_of_turn(lambda: (done.append("first"), loop.at_end_of_turn(lambda: done.append("second"))))
    loop.call_later(0, lambda: None)
    loop.turn()
    assert done == ["first", "second"]


def test_a_connection_is_busy_while_it_carries_bulk_and_not_long_after() -> None:
    load = Load()
    load.add(2 * BUSY, now=0)
    assert load.at(0) > BUSY
    assert load.at(HALF_LIFE) == BUSY
    assert load.at(20 * HALF_LIFE) < BUSY / 1000
