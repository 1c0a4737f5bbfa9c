"""What is to be looked at, now or later."""

from manager.orchestrator.worklist import Alarms, Worklist


def test_what_waits_already_is_not_added_twice() -> None:
    work = Worklist(["a", "b", "a"])
    work.add("b")
    assert (len(work), work.pop(), work.pop(), bool(work)) == (2, "a", "b", False)
    work.add("a")
    assert work.pop() == "a"


def test_an_alarm_has_the_time_that_it_was_given_last() -> None:
    alarms: Alarms[str] = Alarms()
    alarms.set("a", 10)
    alarms.set("b", 20)
    alarms.set("a", 30)
    assert alarms.next == 20
    assert alarms.take_due(19) == []
    assert alarms.take_due(30) == ["b", "a"]
    assert alarms.next is None


def test_an_alarm_can_be_set_earlier_and_cleared() -> None:
    alarms: Alarms[str] = Alarms()
    alarms.set("a", 10)
    alarms.set("a", 5)
    assert alarms.take_due(5) == ["a"]
    assert alarms.take_due(10) == []
    alarms.set("a", 20)
    alarms.clear("a")
    alarms.clear("never set")
    assert alarms.next is None
