"""Who answers a member that looks for a leader."""

from raft.engine.search import NEVER, Search

OTHERS = frozenset("ab")


def test_who_says_nothing_after_it_was_asked_is_silent_until_it_speaks() -> None:
    search = Search(patience=100)
    search.asked(1000)
    search.heard("a")
    assert search.due() == 1100
    assert search.silent(1099, OTHERS) == frozenset()
    assert search.silent(1100, OTHERS) == frozenset("b")
    assert search.due() == NEVER
    search.heard("b")
    assert search.silent(1200, OTHERS) == frozenset()


def test_who_was_silent_is_so_until_the_next_answers_are_due() -> None:
    search = Search(patience=100)
    search.asked(1000)
    assert search.silent(1100, OTHERS) == OTHERS
    search.asked(2000)
    assert search.silent(2000, OTHERS) == OTHERS
    search.heard("a")
    assert search.silent(2100, OTHERS) == frozenset("b")


def test_nobody_is_silent_to_one_that_has_found_a_leader() -> None:
    search = Search(patience=100)
    search.asked(1000)
    assert search.silent(1100, OTHERS) == OTHERS
    search.end()
    assert search.silent(1200, OTHERS) == frozenset()
    assert search.due() == NEVER


def test_who_is_no_member_any_more_is_not_missed() -> None:
    search = Search(patience=100)
    search.asked(1000)
    assert search.silent(1100, OTHERS) == OTHERS
    assert search.silent(1101, frozenset("a")) == frozenset("a")
