"""When a backend may stop."""

from core.clock import SECOND
from manager.dispatcher.drain import GRACE, LIMIT, Drain

T0 = 1_000 * SECOND


def test_tasks_wait_for_every_node_and_then_for_the_grace() -> None:
    drain = Drain()
    drain.begin(5, ["a", "b"], ["n1", "n2"], T0)
    drain.acked("n1", 5, T0 + 1)
    drain.acked("n2", 4, T0 + 1)
    assert drain.next_due() == T0 + LIMIT
    drain.acked("n2", 6, T0 + 2)
    assert drain.next_due() == T0 + 2 + GRACE
    assert drain.release(T0 + 1 + GRACE) == []
    assert drain.is_waiting("a")
    assert sorted(drain.release(T0 + 2 + GRACE)) == ["a", "b"]
    assert not drain.is_waiting("a")
    assert drain.next_due() is None


def test_nobody_waits_longer_than_the_limit() -> None:
    drain = Drain()
    drain.begin(5, ["a"], ["n1", "silent"], T0)
    drain.acked("n1", 5, T0)
    assert drain.release(T0 + LIMIT - 1) == []
    assert drain.release(T0 + LIMIT) == ["a"]


def test_a_late_acknowledgement_does_not_put_off_the_limit() -> None:
    drain = Drain()
    drain.begin(5, ["a"], ["n1"], T0)
    drain.acked("n1", 5, T0 + LIMIT - 1)
    assert drain.next_due() == T0 + LIMIT


def test_nodes_that_leave_are_not_waited_for() -> None:
    drain = Drain()
    drain.begin(5, ["a"], ["n1", "n2"], T0)
    drain.left("n2", T0)
    drain.acked("n1", 5, T0)
    assert drain.release(T0 + GRACE) == ["a"]


def test_rounds_are_apart() -> None:
    drain = Drain()
    drain.begin(5, ["a"], ["n1"], T0)
    drain.begin(7, ["b"], ["n1"], T0)
    drain.acked("n1", 6, T0)
    assert drain.release(T0 + GRACE) == ["a"]
    assert drain.is_waiting("b")
    drain.acked("n1", 7, T0 + GRACE)
    assert drain.release(T0 + 2 * GRACE) == ["b"]


def test_without_nodes_only_the_grace_is_waited_for_and_without_tasks_nothing() -> None:
    drain = Drain()
    drain.begin(5, [], ["n1"], T0)
    assert drain.next_due() is None
    drain.begin(6, ["a"], [], T0)
    assert drain.next_due() == T0 + GRACE
