"""When the owner of a cluster is warned of the next failure."""

import pytest

from core.model import ManagerStatus, Node, Reachability
from pyswarm.engineapi.wire.quorum import quorum_warnings


def nodes(managers: int, reachable: int) -> list[Node]:
    state = {True: Reachability.REACHABLE, False: Reachability.UNREACHABLE}
    made = [Node(f"m{n}", manager=ManagerStatus(reachability=state[n < reachable])) for n in range(managers)]
    return [*made, Node("worker")]


@pytest.mark.parametrize(("managers", "reachable"), [(0, 0), (1, 1), (3, 3), (4, 4), (5, 5), (5, 4)])
def test_nothing_is_said_while_one_more_failure_can_be_borne(managers: int, reachable: int) -> None:
    assert quorum_warnings(nodes(managers, reachable)) == []


@pytest.mark.parametrize(("managers", "reachable"), [(3, 2), (4, 3), (5, 3)])
def test_the_last_failure_that_would_be_too_much_is_announced_with_what_to_do(managers: int, reachable: int) -> None:
    (warning,) = quorum_warnings(nodes(managers, reachable))
    assert f"{reachable} of {managers} managers can be reached: one more failure stops all changes" in warning
    assert "`pyswarm node demote`" in warning


def test_two_managers_are_no_safer_than_one() -> None:
    (warning,) = quorum_warnings(nodes(2, 2))
    assert "Add a third, or demote one" in warning
