"""Lines of several tasks come out by their times, without waiting for ever for any of them."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from core.model import LogLine
from manager.logbroker.order import TimeOrder


def line(task_id: str, timestamp: int, size: int = 1) -> LogLine:
    return LogLine(task_id=task_id, timestamp=timestamp, data=b"x" * size)


def shown(lines: list[LogLine]) -> list[str]:
    return [f"{line.task_id}{line.timestamp}" for line in lines]


def test_a_line_waits_for_tasks_that_are_behind() -> None:
    order = TimeOrder(window=1)
    order.add([line("a", 1), line("a", 5)], 0)
    assert shown(order.take(0, ["a", "b"])) == []
    order.add([line("b", 3)], 0.5)
    assert shown(order.take(0.5, ["a", "b"])) == ["a1", "b3"], "b has gone past both"
    order.add([line("b", 9)], 0.6)
    assert shown(order.take(0.6, ["a", "b"])) == ["a5"]


def test_a_line_waits_no_longer_than_the_window() -> None:
    order = TimeOrder(window=1)
    order.add([line("a", 1)], 10)
    order.add([line("a", 2)], 10.5)
    assert order.deadline == 11
    assert shown(order.take(10.9, ["a", "b"])) == []
    assert shown(order.take(11, ["a", "b"])) == ["a1"]
    assert order.deadline == 11.5
    assert shown(order.take(11.5, ["a", "b"])) == ["a2"]
    assert order.deadline is None


def test_the_only_task_never_waits() -> None:
    order = TimeOrder()
    order.add([line("a", 1), line("a", 2)], 0)
    assert shown(order.take(0, ["a"])) == ["a1", "a2"]


def test_nothing_waits_when_nothing_more_will_come() -> None:
    order = TimeOrder()
    order.add([line("b", 2), line("a", 1)], 0)
    assert shown(order.take(0, [])) == ["a1", "b2"]
    order.add([line("b", 3)], 0)
    order.take(0, ["a"])
    assert shown(order.rest()) == ["b3"]


def test_what_there_is_no_room_for_does_not_wait() -> None:
    order = TimeOrder(max_bytes=10)
    order.add([line("a", 2, 8), line("a", 3, 8)], 0)
    assert shown(order.take(0, ["a", "b"])) == ["a2"]


def test_a_task_whose_clock_was_set_back_keeps_its_order() -> None:
    order = TimeOrder(window=1)
    order.add([line("a", 9), line("a", 4)], 0)
    order.add([line("b", 5)], 0)
    assert shown(order.take(1, ["a", "b"])) == ["b5", "a9", "a4"]


STREAMS = st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 50), max_size=8).map(sorted), min_size=1)


@given(STREAMS, st.data())
def test_what_comes_within_the_window_is_sorted(streams: dict[str, list[int]], data: st.DataObject) -> None:
    order, out, now = TimeOrder(window=1), [], 0.0
    left = {task_id: list(times) for task_id, times in streams.items()}
    while any(left.values()):
        task_id = data.draw(st.sampled_from([task_id for task_id, times in left.items() if times]))
        now += 0.01
        order.add([line(task_id, left[task_id].pop(0))], now)
        out += order.take(now, [task_id for task_id, times in left.items() if times])
    out += order.rest()
    assert [item.timestamp for item in out] == sorted(time for times in streams.values() for time in times)


@given(STREAMS, st.data())
def test_each_task_keeps_its_order_and_nothing_is_lost(streams: dict[str, list[int]], data: st.DataObject) -> None:
    order, out, now = TimeOrder(window=1, max_bytes=3), [], 0.0
    left = {task_id: data.draw(st.permutations(times)) for task_id, times in streams.items()}
    sent = {task_id: list(times) for task_id, times in left.items()}
    while any(left.values()):
        task_id = data.draw(st.sampled_from([task_id for task_id, times in left.items() if times]))
        now += data.draw(st.floats(0, 2))
        order.add([line(task_id, left[task_id].pop(0))], now)
        out += order.take(now, list(streams))
    out += order.rest()
    by_task = groupby(sorted(out, key=lambda item: item.task_id), lambda item: item.task_id)
    assert {task_id: [item.timestamp for item in items] for task_id, items in by_task} == {
        task_id: times for task_id, times in sent.items() if times
    }
