"""Who answers a leader, in time in which its process ran."""

from raft.engine.answers import Answers

MEMBERS = ("a", "b")


def test_who_does_not_answer_for_long_is_silent_until_it_answers() -> None:
    answers, heard = Answers(limit=1000, heartbeat=100), {"a": 0, "b": 0}
    for now in range(1000, 3000, 100):
        heard["a"] = now
        silent = answers.silent(now, MEMBERS, heard.__getitem__)
        assert silent == (frozenset("b") if now >= 2000 else frozenset())
    heard["b"] = 2950
    assert answers.silent(3000, MEMBERS, heard.__getitem__) == frozenset()


def test_a_pause_of_this_process_makes_nobody_silent() -> None:
    answers = Answers(limit=1000, heartbeat=100)
    assert answers.silent(100, MEMBERS, lambda _: 7) == frozenset()
    assert answers.silent(60_000, MEMBERS, lambda _: 7) == frozenset()
    for now in range(60_100, 60_800, 100):
        assert answers.silent(now, MEMBERS, lambda _: 7) == frozenset()
    assert answers.silent(60_800, MEMBERS, lambda _: 7) == frozenset(MEMBERS)


def test_a_new_leader_gives_everybody_time() -> None:
    answers = Answers(limit=100, heartbeat=100)
    for now in range(100, 400, 100):
        silent = answers.silent(now, MEMBERS, lambda _: 7)
    assert silent == frozenset(MEMBERS)
    answers.restart()
    assert answers.silent(500, MEMBERS, lambda _: 7) == frozenset()
