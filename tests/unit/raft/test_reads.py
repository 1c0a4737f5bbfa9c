"""ReadIndex: which answer lets which reader read, and when."""

from raft.engine.reads import Reads
from raft.messages import ReadReply, ReadRequest


def test_a_reader_waits_for_an_answer_to_what_was_asked_after_it_came() -> None:
    reads = Reads(retry=200, forget=2000)
    reads.want(1, now=0)
    assert reads.request(5, "leader", now=0) == ReadRequest(5, 1)
    reads.want(2, now=10)
    assert reads.request(5, "leader", now=10) == ReadRequest(5, 2)
    reads.answered(1, 7)
    assert reads.ready(applied=6) == []
    assert reads.ready(applied=7) == [1]
    reads.answered(2, 9)
    assert reads.ready(applied=9) == [2]


def test_an_answer_holds_for_earlier_rounds_too() -> None:
    reads = Reads(retry=200, forget=2000)
    reads.want(1, now=0)
    reads.request(5, "leader", now=0)
    reads.want(2, now=0)
    reads.request(5, "leader", now=0)
    reads.answered(2, 7)
    assert reads.ready(applied=7) == [1, 2]


def test_what_gets_no_answer_is_asked_again_and_of_a_new_leader_at_once() -> None:
    reads = Reads(retry=200, forget=2000)
    reads.want(1, now=0)
    assert reads.request(5, "", now=0) is None
    assert reads.request(5, "leader", now=0) == ReadRequest(5, 1)
    assert reads.request(5, "leader", now=199) is None
    assert reads.request(5, "leader", now=200) == ReadRequest(5, 2)
    assert reads.request(6, "another", now=201) == ReadRequest(6, 3)
    reads.answered(1, 7)
    assert reads.ready(applied=7) == [1]
    assert reads.request(6, "another", now=9999) is None


def test_nobody_waits_for_ever() -> None:
    reads = Reads(retry=200, forget=2000)
    reads.want(1, now=0)
    assert reads.request(5, "leader", now=2000) is None
    reads.answered(9, 1)
    assert reads.ready(applied=9) == []


def test_a_leader_answers_once_it_surely_led_after_it_was_asked() -> None:
    reads = Reads(retry=200, forget=2000)
    reads.asked("a", 1, index=7, now=100)
    reads.asked("b", 4, index=8, now=120)
    assert reads.proven(5, led_at=99) == []
    assert reads.proven(5, led_at=100) == [("a", ReadReply(5, 1, 7))]
    assert reads.proven(5, led_at=130) == [("b", ReadReply(5, 4, 8))]
    reads.asked("a", 2, index=9, now=140)
    reads.deposed()
    assert reads.proven(5, led_at=999) == []
