"""What a member says when a proposal or a read cannot be: who leads, or how many managers can be reached."""

import pytest

from core.errors import NoQuorum, NotLeader, PyswarmError, ShuttingDown, Unavailable
from raft.api import Leadership
from raft.engine.events import Status
from raft.membership import Configuration, Peer
from raft.standing import Standing

PEERS = {node_id: Peer(node_id, f"{node_id}:2377", number) for number, node_id in enumerate("abcde")}


def standing(status: Status, linked: str, is_leader: bool = False) -> Standing:
    made = Standing(PEERS["a"], lambda node_id: node_id in linked, Configuration(PEERS), status=status)
    leader = f"{status.leader}:2377" if status.leader else ""
    made.leadership = Leadership(status.term, status.leader, leader, is_leader)
    return made


def leading(linked: str, silent: str = "") -> Standing:
    return standing(Status(5, "a", True, 1, frozenset(silent)), linked, is_leader=True)


def refusal(of: Standing) -> PyswarmError:
    with pytest.raises(PyswarmError) as refused:
        of.check_leader()
    return refused.value


def test_a_leader_that_a_quorum_answers_takes_proposals() -> None:
    leading("abcde").check_leader()
    leading("abc", silent="de").check_leader()
    leading("a").check_leader()  # streams that broke a moment ago come back, or their members fall silent


def test_a_leader_that_no_quorum_answers_says_how_many_can_be_reached() -> None:
    error = refusal(leading("abcde", silent="cde"))
    assert isinstance(error, NoQuorum)
    assert "2 of 5 managers can be reached and 3 are needed" in error.message
    assert "1 of 5" in refusal(leading("acde", silent="cde")).message


def test_a_silent_member_counts_as_unreachable_though_its_stream_stands() -> None:
    made = leading("abcde", silent="e")
    assert [made.reachable(node_id) for node_id in "ade"] == [True, True, False]
    assert made.count_reachable() == 4


def test_whether_there_is_a_quorum() -> None:
    assert leading("a").has_quorum()
    assert not leading("abcde", silent="cde").has_quorum()
    assert standing(Status(5, "", False, 0), "abc").has_quorum()
    assert not standing(Status(5, "b", False, 0), "ab").has_quorum()


def test_a_follower_names_the_leader_or_says_that_there_is_none() -> None:
    assert "ask b:2377" in refusal(standing(Status(5, "b", False, 0), "abc")).message
    error = refusal(standing(Status(5, "", False, 0), "abc"))
    assert isinstance(error, NotLeader)
    assert error.message == "the cluster has no leader"
    assert "2 of 5 managers" in refusal(standing(Status(5, "", False, 0), "ab")).message


def test_a_leader_that_has_not_applied_its_log_yet_names_nobody() -> None:
    error = refusal(standing(Status(5, "a", True, 9), "abcde"))
    assert isinstance(error, NotLeader)
    assert error.leader == ""


def test_a_read_that_is_not_answered_says_why() -> None:
    assert isinstance(standing(Status(5, "b", False, 0), "ab").no_answer(), NoQuorum)
    assert isinstance(leading("abcde", silent="cde").no_answer(), NoQuorum)
    assert isinstance(standing(Status(5, "", False, 0), "abc").no_answer(), NotLeader)
    error = standing(Status(5, "b", False, 0), "abc").no_answer()
    assert type(error) is Unavailable
    assert error.message == "the leader, b:2377, does not answer; try again in a moment"


def test_what_stopped_the_member_comes_first() -> None:
    made = leading("abcde")
    made.failure = ShuttingDown()
    assert refusal(made) is made.failure
