"""Each rule by its hole's id: pure messages in, decisions out."""

from dataclasses import dataclass, field

import pytest

from raft.guard import Action, Adopt, Campaign, Deliver, Guard, Read, Readable, Reply, Stop
from raft.messages import (
    NOOP,
    Append,
    AppendReply,
    Entry,
    Heartbeat,
    Install,
    PreVoteReply,
    PreVoteRequest,
    ReadReply,
    ReadRequest,
    StaleTerm,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)

LEASE = 400
TRUSTED = LEASE * 9 // 10
PATIENCE = 1000
OWN, A, B, STRANGER = "own", "a", "b", "stranger"


@dataclass
class FakeView:
    """A log of entries, given by their terms: the first is number `first_index`."""

    terms: list[int]
    term: int = 5
    is_leader: bool = False
    leader: str = A
    committed: int = 1
    first_index: int = 1
    voters: frozenset[str] = frozenset({OWN, A, B})
    learners: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset({A, B})

    def linked(self, node_id: str) -> bool:
        return node_id in self.links

    @property
    def last_index(self) -> int:
        return self.first_index + len(self.terms) - 1

    def term_at(self, index: int) -> int | None:
        position = index - self.first_index
        return self.terms[position] if 0 <= position < len(self.terms) else None


@dataclass
class Bench:
    view: FakeView
    guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self.guard = Guard(OWN, self.view, LEASE, PATIENCE, now=0)

    def receive(self, sender: str, message: object, now: int = 10_000) -> list[Action]:
        return self.guard.receive(sender, message, now)  # type: ignore[arg-type]


def entries(first: int, *terms: int) -> tuple[Entry, ...]:
    return tuple(Entry(NOOP, first + offset, term) for offset, term in enumerate(terms))


def test_S1_an_answer_to_an_older_leadership_does_not_count() -> None:
    bench = Bench(FakeView([0, 1, 5], is_leader=True, leader=OWN))
    assert bench.receive(A, AppendReply(4, 4, True, False)) == []
    assert bench.guard.fired["S1"] == 1
    reply = AppendReply(5, 4, True, False)
    assert bench.receive(A, reply) == [Deliver(reply)]


def test_S1_only_the_leader_of_this_term_may_ask_for_an_election() -> None:
    bench = Bench(FakeView([0, 1]))
    assert bench.receive(B, TimeoutNow(5)) == []
    assert bench.receive(A, TimeoutNow(4)) == []
    assert bench.receive(A, TimeoutNow(5)) == [Deliver(TimeoutNow(5)), Campaign()]


def test_S2_what_is_held_already_stays_and_only_what_was_sent_is_acknowledged() -> None:
    bench = Bench(FakeView([0, 1, 1, 1, 1]))
    (action,) = bench.receive(A, Append(5, 1, 0, 9, entries(2, 1, 1), sent=77))
    assert action == Deliver(Append(5, 5, 1, 3, (), 77))
    answer = bench.guard.send(A, AppendReply(5, 6, True, False), 10_001)
    assert answer == AppendReply(5, 4, True, False, 77)


def test_S2_only_what_follows_a_real_conflict_is_truncated() -> None:
    bench = Bench(FakeView([0, 1, 1, 2, 2]))
    (action,) = bench.receive(A, Append(5, 1, 0, 9, entries(2, 1, 1, 3)))
    assert action == Deliver(Append(5, 3, 1, 4, entries(4, 3)))


def test_S2_entries_before_the_snapshot_are_taken_for_held() -> None:
    bench = Bench(FakeView([3, 3, 3], first_index=10, committed=11))
    (action,) = bench.receive(A, Append(5, 7, 2, 9, entries(8, 2, 3, 3, 3, 3, 5)))
    assert action == Deliver(Append(5, 12, 3, 9, entries(13, 5)))
    (action,) = bench.receive(A, Append(5, 5, 2, 6, entries(6, 2)))
    assert action == Deliver(Append(5, 12, 3, 6, ()))
    assert bench.guard.send(A, AppendReply(5, 13, True, False), 0) == AppendReply(5, 11, True, False)


def test_a_conflict_with_a_committed_entry_stops_the_member() -> None:
    bench = Bench(FakeView([0, 1, 1], committed=3))
    (action,) = bench.receive(A, Append(5, 1, 0, 1, entries(2, 2)))
    assert action == Stop("the leader's log differs at the committed entry 2")
    (action,) = bench.receive(A, Append(5, 2, 4, 1, ()))
    assert action == Stop("the leader's log differs at the committed entry 2")


def test_an_append_that_starts_beyond_the_log_is_for_the_engine_to_refuse() -> None:
    bench = Bench(FakeView([0, 1]))
    message = Append(5, 7, 1, 9, entries(8, 1))
    assert bench.receive(A, message) == [Deliver(message)]


def test_an_append_whose_entries_do_not_follow_each_other_is_dropped() -> None:
    bench = Bench(FakeView([0, 1]))
    assert bench.receive(A, Append(5, 2, 1, 9, entries(4, 1))) == []


def test_S3_only_entries_verified_against_this_leader_are_committed() -> None:
    bench = Bench(FakeView([0, 1, 1, 1], committed=2))
    (heartbeat, reply) = bench.receive(A, Heartbeat(5, 9, sent=3))
    assert heartbeat == Deliver(Heartbeat(5, 2, 3))
    assert reply == Reply(AppendReply(5, 0, False, False, 3))
    (action,) = bench.receive(A, Append(5, 2, 1, 9, ()))
    assert action == Deliver(Append(5, 4, 1, 2, ()))


def test_S4_a_snapshot_of_what_is_held_already_is_not_installed() -> None:
    bench = Bench(FakeView([0, 1, 1, 1], committed=3))
    for old in (Install(5, 2, 1), Install(5, 3, 1), Install(5, 4, 1)):
        delivered, reply = bench.receive(A, old)
        assert delivered == Deliver(Heartbeat(5, 3))
        assert reply == Reply(AppendReply(5, max(3, old.index) + 1, True, True))
    assert bench.receive(A, Install(5, 4, 2)) == [Deliver(Install(5, 4, 2))]
    assert bench.receive(A, Install(5, 9, 2)) == [Deliver(Install(5, 9, 2))]


def test_S11_votes_count_once_and_from_members_only() -> None:
    bench = Bench(FakeView([0, 1]))
    assert bench.receive(STRANGER, VoteReply(5)) == []
    assert bench.receive(A, VoteReply(4)) == []
    assert bench.receive(A, VoteReply(5)) == [Deliver(VoteReply(5))]
    assert bench.receive(A, VoteReply(5)) == []
    assert bench.receive(B, VoteReply(5)) == [Deliver(VoteReply(5))]


def test_S11_acknowledgements_count_from_members_only_and_never_beyond_the_log() -> None:
    bench = Bench(FakeView([0, 1], is_leader=True, learners=frozenset({"learner"})))
    assert bench.receive(STRANGER, AppendReply(5, 3, True, False)) == []
    assert bench.receive(A, AppendReply(5, 4, True, False)) == []
    assert bench.receive("learner", AppendReply(5, 3, True, False)) == [Deliver(AppendReply(5, 3, True, False))]
    assert bench.receive(A, AppendReply(5, 99, False, True)) == [Deliver(AppendReply(5, 3, False, True))]


def test_S11_nobody_else_leads_in_a_leaders_own_term() -> None:
    bench = Bench(FakeView([0, 5], is_leader=True, leader=OWN))
    for message in (Append(5, 1, 0, 1, ()), Heartbeat(5, 1), Install(5, 9, 5)):
        assert bench.receive(STRANGER, message) == []
    assert bench.guard.fired["S11"] == 3
    assert bench.receive(A, Heartbeat(6, 1)) != []


def test_L1_a_vote_that_the_leader_did_not_ask_for_is_not_given_while_it_is_heard() -> None:
    bench = Bench(FakeView([0, 1]))
    bench.receive(A, Heartbeat(5, 1), now=10_000)
    request = VoteRequest(6, 9, 5)
    assert bench.receive(B, request, now=10_000 + LEASE - 1) == []
    assert bench.receive(B, VoteRequest(6, 9, 5, transfer=True), now=10_001) != []
    assert bench.receive(B, request, now=10_000 + LEASE) == [Deliver(request)]


def test_L1_no_vote_is_given_right_after_a_start() -> None:
    bench = Bench(FakeView([0, 1]))
    assert bench.receive(B, VoteRequest(6, 9, 5), now=LEASE - 1) == []
    assert bench.receive(B, VoteRequest(6, 9, 5), now=LEASE) != []


@pytest.mark.parametrize(
    ("last_index", "last_term", "term", "granted"),
    [(2, 1, 5, True), (9, 0, 5, False), (1, 1, 5, False), (1, 2, 5, True), (2, 1, 4, False)],
)
def test_L1_pre_vote_is_granted_to_whoever_could_win(last_index: int, last_term: int, term: int, granted: bool) -> None:
    bench = Bench(FakeView([0, 1]))
    (action,) = bench.receive(B, PreVoteRequest(term, last_index, last_term, round=3))
    assert action == Reply(PreVoteReply(5, 3, granted))


def test_L1_a_quorum_of_grants_in_the_same_round_starts_the_election() -> None:
    bench = Bench(FakeView([0, 1], voters=frozenset({OWN, A, B, "c", "d"})))
    assert bench.guard.pre_vote() == PreVoteRequest(5, 2, 1, 1)
    assert bench.receive(A, PreVoteReply(5, 1, True)) == []
    assert bench.receive(A, PreVoteReply(5, 1, True)) == []
    assert bench.receive(STRANGER, PreVoteReply(5, 1, True)) == []
    assert bench.receive(B, PreVoteReply(5, 0, True)) == []
    assert bench.receive(B, PreVoteReply(5, 1, True)) == [Campaign()]
    assert bench.receive("c", PreVoteReply(5, 1, True)) == []


def test_L1_a_grant_from_before_the_leader_was_heard_again_starts_no_election() -> None:
    bench = Bench(FakeView([0, 1]))
    bench.guard.pre_vote()
    bench.receive(A, Heartbeat(5, 1), now=10_000)  # the answer lets it trust its lease
    assert bench.receive(B, PreVoteReply(5, 1, True), now=10_001) == []


def test_L1_a_member_gives_itself_no_vote_within_the_lease_unless_the_leader_asks_for_it() -> None:
    bench = Bench(FakeView([0, 1]))
    bench.receive(A, Heartbeat(5, 1), now=10_000)
    assert not bench.guard.may_stand(10_000 + LEASE - 1)
    assert bench.guard.may_stand(10_000 + LEASE)
    bench.receive(A, TimeoutNow(5), now=10_001)
    assert bench.guard.may_stand(10_002)


def test_a_leader_trusts_its_lease_for_less_time_than_the_others_keep_it() -> None:
    bench = Bench(FakeView([0, 5], is_leader=True, leader=OWN))
    bench.receive(A, AppendReply(5, 3, True, False, sent=10_000), now=10_001)
    assert bench.guard.lease_until() == 10_000 + TRUSTED < 10_000 + LEASE


def pre_vote(bench: Bench, now: int) -> bool:
    (action,) = bench.receive(B, PreVoteRequest(5, 2, 1, round=1), now)
    assert isinstance(action, Reply)
    assert isinstance(action.message, PreVoteReply)
    return action.message.granted


def test_L1_a_leader_whose_stream_stands_is_waited_for() -> None:
    bench = Bench(FakeView([0, 1]))
    bench.receive(A, Heartbeat(5, 1), now=10_000)
    assert bench.guard.may_hurry(10_000 + LEASE) is None
    assert not pre_vote(bench, 10_000 + PATIENCE - 1)
    assert pre_vote(bench, 10_000 + PATIENCE)


@pytest.mark.parametrize("view", [FakeView([0, 1], links=frozenset({B})), FakeView([0, 1], leader="")])
def test_L1_a_leader_that_is_lost_is_replaced_after_the_lease(view: FakeView) -> None:
    bench = Bench(view)
    bench.receive(A, Heartbeat(5, 1), now=10_000)
    assert bench.guard.may_hurry(10_001) == 10_000 + LEASE
    assert not pre_vote(bench, 10_000 + LEASE - 1)
    assert pre_vote(bench, 10_000 + LEASE)
    assert bench.guard.may_hurry(10_000 + LEASE + PATIENCE) is None


def test_L1_no_vote_is_given_within_the_lease_even_if_the_leader_is_lost() -> None:
    bench = Bench(FakeView([0, 1], links=frozenset({B})))
    bench.receive(A, Heartbeat(5, 1), now=10_000)
    assert bench.receive(B, VoteRequest(6, 9, 5), now=10_000 + LEASE - 1) == []
    assert bench.receive(B, VoteRequest(6, 9, 5), now=10_000 + LEASE) != []


def test_L1_a_leader_that_a_quorum_answers_supports_no_other() -> None:
    bench = Bench(FakeView([0, 5], is_leader=True, leader=OWN))
    bench.receive(A, AppendReply(5, 3, True, False, sent=10_000), now=10_001)
    request = PreVoteRequest(5, 9, 5, round=1)
    assert bench.receive(B, request, 10_000 + PATIENCE - 1) == [Reply(PreVoteReply(5, 1, False))]
    assert bench.receive(B, request, 10_000 + PATIENCE) == [Reply(PreVoteReply(5, 1, True))]


def test_L1_whom_a_vote_was_given_is_given_time_to_lead() -> None:
    bench = Bench(FakeView([0, 1], leader=""))
    bench.guard.send(B, VoteReply(5), now=10_000)
    assert not pre_vote(bench, 10_000 + LEASE - 1)
    assert bench.guard.may_hurry(10_001) == 10_000 + LEASE
    assert pre_vote(bench, 10_000 + LEASE)


def test_whoever_looks_for_another_leader_knows_none_until_one_speaks() -> None:
    bench = Bench(FakeView([0, 1]))
    assert not bench.guard.searching
    bench.guard.pre_vote()
    assert bench.guard.searching
    bench.receive(A, Heartbeat(4, 1))
    assert bench.guard.searching
    bench.receive(A, Heartbeat(5, 1))
    assert not bench.guard.searching


def test_a_leader_tells_members_only_where_its_log_stands() -> None:
    bench = Bench(FakeView([0, 5], is_leader=True, leader=OWN, learners=frozenset({"learner"})))
    assert bench.receive(A, ReadRequest(5, 7)) == [Read(7)]
    assert bench.receive("learner", ReadRequest(5, 8)) == [Read(8)]
    assert bench.receive(STRANGER, ReadRequest(5, 9)) == []
    assert bench.receive(A, ReadRequest(6, 9)) == []
    assert bench.receive(A, ReadRequest(4, 9)) == [Reply(StaleTerm(5))]
    bench.view.is_leader = False
    assert bench.receive(A, ReadRequest(5, 9)) == []


def test_only_this_terms_leader_says_what_may_be_read() -> None:
    bench = Bench(FakeView([0, 1]))
    assert bench.receive(A, ReadReply(5, 7, 2)) == [Readable(7, 2)]
    assert bench.receive(A, ReadReply(4, 7, 2)) == []
    assert bench.receive(B, ReadReply(5, 7, 2)) == []


def test_a_lone_voter_needs_nobody() -> None:
    assert Bench(FakeView([0], voters=frozenset({OWN}))).guard.pre_vote() is None


def test_L2_an_old_leader_is_told_so_and_follows() -> None:
    bench = Bench(FakeView([0, 1]))
    assert bench.receive(A, Append(4, 1, 0, 1, ())) == [Reply(StaleTerm(5))]
    assert bench.receive(A, StaleTerm(7)) == [Adopt(7)]
    assert bench.receive(A, StaleTerm(5)) == []
    assert bench.receive(A, PreVoteReply(7, 1, False)) == [Adopt(7)]


def test_L5_going_back_once_is_enough() -> None:
    bench = Bench(FakeView([0, 1, 5], is_leader=True))
    assert bench.receive(A, AppendReply(5, 2, False, True, sent=100), now=200) == [
        Deliver(AppendReply(5, 2, False, True, 100))
    ]
    assert bench.receive(A, AppendReply(5, 2, False, True, sent=150), now=210) == [
        Deliver(AppendReply(5, 0, False, False, 150))
    ]
    assert bench.receive(A, AppendReply(5, 2, False, True, sent=205), now=220) == [
        Deliver(AppendReply(5, 2, False, True, 205))
    ]


def test_the_lease_counts_from_when_a_quorum_was_asked() -> None:
    view = FakeView([0, 1, 5], is_leader=True, voters=frozenset({OWN, A, B, "c", "d"}))
    bench = Bench(view)
    assert bench.guard.lease_until() < 0
    bench.receive(A, AppendReply(5, 4, True, False, sent=1000), now=1100)
    assert bench.guard.lease_until() < 0
    bench.receive(B, AppendReply(5, 4, True, False, sent=900), now=1100)
    assert bench.guard.lease_until() == 900 + TRUSTED
    assert bench.guard.leader_alive(1259)
    assert not bench.guard.leader_alive(1260)
    assert (bench.guard.led_at(1259), bench.guard.led_at(1260)) == (1259, 900)
    view.is_leader = False
    assert bench.guard.lease_until() < 0


def test_whoever_hands_over_has_no_lease_any_more() -> None:
    view = FakeView([0, 1, 5], is_leader=True)
    bench = Bench(view)
    bench.receive(A, AppendReply(5, 4, True, False, sent=1000), now=1100)
    assert bench.guard.lease_until() == 1000 + TRUSTED
    bench.guard.send(A, TimeoutNow(5), 1100)
    assert bench.guard.lease_until() < 0


def test_only_the_election_that_was_asked_for_passes_over_a_leader() -> None:
    bench = Bench(FakeView([0, 1]))
    bench.receive(A, TimeoutNow(5))
    assert bench.guard.send(B, VoteRequest(6, 2, 1), 0) == VoteRequest(6, 2, 1, transfer=True)
    assert bench.guard.send(B, VoteRequest(7, 2, 1), 0) == VoteRequest(7, 2, 1, transfer=False)


def test_a_member_that_left_and_came_back_begins_with_nothing() -> None:
    bench = Bench(FakeView([0, 1, 5], is_leader=True))
    bench.receive(A, AppendReply(5, 4, True, False, sent=1000), now=1100)
    assert (bench.guard.matched(A), bench.guard.heard(A)) == (3, 1000)
    bench.guard.forget(A)
    assert (bench.guard.matched(A), bench.guard.lease_until() < 0) == (0, True)
