"""Which backend a new connection goes to."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ingress.relay.balance import BLAME, LOOK, Balancer, Choice
from ingress.routes import Local


def tasks(count: int) -> list[Local]:
    return [Local(f"task{number}", 80, "172.17.0.2") for number in range(count)]


def balancer(count: int) -> Balancer:
    made = Balancer()
    made.replace(tasks(count))
    return made


def pick(made: Balancer, tried: list[Choice] | None = None, now: int = 0) -> Choice:
    choice = made.pick(tried or [], now)
    assert choice is not None
    return choice


@given(st.integers(1, 40), st.integers(1, 5))
def test_connections_spread_evenly(count: int, rounds: int) -> None:
    made = balancer(count)
    spread = Counter(pick(made).backend for _ in range(count * rounds))
    assert set(spread.values()) == {rounds} if count <= LOOK else max(spread.values()) <= 2 * rounds


def test_short_connections_one_after_another_reach_every_task() -> None:
    made = balancer(3)
    reached = []
    for _ in range(3):
        choice = pick(made)
        reached.append(choice.backend)
        made.release(choice)
    assert set(reached) == set(tasks(3))


def test_the_least_busy_task_is_next() -> None:
    made = balancer(3)
    choices = [pick(made) for _ in range(3)]
    made.release(choices[1])
    assert pick(made) is choices[1]


def test_a_task_that_could_not_be_reached_is_passed_over_for_a_while() -> None:
    made = balancer(2)
    bad = pick(made)
    made.missed(bad, now=0)
    assert all(pick(made, now=1) is not bad for _ in range(5))
    assert pick(made, now=BLAME) is bad


def test_then_one_connection_tries_it_and_its_success_clears_it() -> None:
    made = balancer(2)
    bad = pick(made)
    made.missed(bad, now=0)
    for _ in range(5):
        pick(made, now=1)
    assert pick(made, now=BLAME) is bad
    assert all(pick(made, now=BLAME + 1) is not bad for _ in range(5))
    made.reached(bad)
    assert pick(made, now=BLAME + 1) is bad


def test_if_none_can_be_reached_the_blamed_are_tried_all_the_same() -> None:
    made = balancer(1)
    made.missed(pick(made), now=0)
    assert made.pick([], now=1) is not None


def test_each_is_tried_once() -> None:
    made = balancer(20)
    tried: list[Choice] = []
    while (choice := made.pick(tried, 0)) is not None:
        assert choice not in tried
        tried.append(choice)
    assert len(tried) == 20


def test_those_that_stay_keep_their_connections_and_those_that_go_get_no_more() -> None:
    made = balancer(2)
    first, second = pick(made), pick(made)
    made.replace([first.backend, *tasks(3)[2:]])
    assert second.backend not in {pick(made).backend for _ in range(4)}
    made.release(second)
    assert first.connections > 1


def test_without_backends_there_is_no_choice() -> None:
    assert Balancer().pick([], 0) is None
