"""Who is alive, with the clock in hand."""

import pytest

from core.clock import SECOND
from manager.dispatcher.liveness import Liveness, heartbeat_period
from manager.dispatcher.registrations import Registrations

T0 = 1_000 * SECOND


@pytest.mark.parametrize(
    ("nodes", "seconds"), [(0, 1.0), (1_000, 1.0), (1_001, 1.1), (5_000, 5.0), (5_001, 5.1), (10_000, 10.0)]
)
def test_the_heartbeat_period_grows_with_the_number_of_nodes(nodes: int, seconds: float) -> None:
    assert heartbeat_period(SECOND, nodes) == round(seconds * SECOND)


def test_a_longer_configured_period_holds() -> None:
    assert heartbeat_period(5 * SECOND, 4_000) == 5 * SECOND


def test_DSP_03_a_node_is_overdue_after_three_silent_periods_and_once() -> None:
    liveness = Liveness(SECOND)
    liveness.heard("n1", T0)
    liveness.heard("n2", T0 + 1)
    assert liveness.next_deadline() == T0 + 3 * SECOND
    assert liveness.overdue(T0 + 3 * SECOND - 1) == []
    assert liveness.overdue(T0 + 3 * SECOND) == ["n1"]
    assert liveness.overdue(T0 + 3 * SECOND) == []
    assert not liveness.is_alive("n1")
    assert liveness.is_alive("n2")


def test_DSP_04_a_new_leader_waits_a_second_longer_and_not_for_those_who_came_meanwhile() -> None:
    liveness = Liveness(SECOND)
    liveness.heard("n1", T0)
    liveness.expect(["n1", "n2"], T0)
    assert liveness.overdue(T0 + 3 * SECOND) == ["n1"]
    assert liveness.overdue(T0 + 4 * SECOND - 1) == []
    assert liveness.overdue(T0 + 4 * SECOND) == ["n2"]


def test_a_broken_connection_is_suspect_until_the_node_is_back_or_known_to_be_down() -> None:
    liveness = Liveness(SECOND)
    liveness.heard("n1", T0)
    liveness.broken("n1")
    liveness.broken("stranger")
    assert liveness.is_suspect("n1")
    assert not liveness.is_suspect("stranger")
    liveness.trust("n1")
    assert not liveness.is_suspect("n1")
    liveness.overdue(T0 + 3 * SECOND)
    assert liveness.is_suspect("n1"), "it is down, but nobody knows yet"
    liveness.forget("n1")
    assert not liveness.is_suspect("n1")


def test_a_manager_that_stood_still_blames_nobody_for_it() -> None:
    liveness = Liveness(SECOND)
    liveness.heard("n1", T0)
    liveness.excuse(5 * SECOND)
    assert liveness.overdue(T0 + 8 * SECOND - 1) == []
    assert liveness.overdue(T0 + 8 * SECOND) == ["n1"]


def test_DSP_02_the_fourth_registration_within_eight_seconds_is_one_too_many() -> None:
    registrations = Registrations()
    assert [registrations.admit("n1", T0 + second * SECOND) for second in (0, 3, 6, 7)] == [True, True, True, False]
    assert registrations.admit("n2", T0 + 7 * SECOND)
    assert registrations.admit("n1", T0 + 8 * SECOND)
    assert not registrations.admit("n1", T0 + 9 * SECOND)
    registrations.take_back("n1")
    assert registrations.admit("n1", T0 + 9 * SECOND), "one that failed does not count"
    registrations.forget("n1")
    assert registrations.admit("n1", T0 + 9 * SECOND)
