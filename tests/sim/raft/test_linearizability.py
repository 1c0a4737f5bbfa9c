"""The checker itself: what it must accept, and what it must refuse."""

import itertools
import math
from random import Random

import pytest

from tests.support.linearizability import Operation, is_linearizable
from tests.support.raft_sim.clients import lists_are_linearizable

Action = tuple[str, object]


def register(state: object, action: Action) -> object | None:
    kind, value = action
    if kind == "write":
        return value
    return state if state == value else None


def appended(state: tuple[int, ...], action: Action) -> tuple[int, ...] | None:
    kind, value = action
    if kind == "append":
        return (*state, value)  # type: ignore[arg-type]
    return state if state == value else None


def history(*operations: tuple[str, object, float, float]) -> list[Operation[Action]]:
    return [Operation((kind, value), called, returned) for kind, value, called, returned in operations]


NEVER = math.inf
ACCEPTED = {
    "nothing at all": history(),
    "one after the other": history(("write", 1, 0, 1), ("read", 1, 2, 3), ("write", 2, 4, 5), ("read", 2, 6, 7)),
    "a read beside a write sees the old": history(("write", 1, 0, 1), ("write", 2, 2, 9), ("read", 1, 3, 4)),
    "a read beside a write sees the new": history(("write", 1, 0, 1), ("write", 2, 2, 9), ("read", 2, 3, 4)),
    "writes beside each other in either order": history(
        ("write", 1, 0, 9), ("write", 2, 0, 9), ("read", 2, 10, 11), ("read", 2, 12, 13)
    ),
    "an unanswered write may have happened": history(("write", 1, 0, 1), ("write", 2, 2, NEVER), ("read", 2, 3, 4)),
    "an unanswered write may never happen": history(("write", 1, 0, 1), ("write", 2, 2, NEVER), ("read", 1, 3, 4)),
    "an unanswered write may happen late": history(
        ("write", 1, 0, 1), ("write", 2, 2, NEVER), ("read", 1, 3, 4), ("read", 2, 5, 6)
    ),
    "at the same instant counts as beside": history(("write", 1, 0, 5), ("read", 0, 5, 6)),
}
REFUSED = {
    "a lost write": history(("write", 1, 0, 1), ("read", 0, 2, 3)),
    "a stale read": history(("write", 1, 0, 1), ("write", 2, 2, 3), ("read", 1, 4, 5)),
    "back in time": history(("write", 1, 0, 1), ("write", 2, 2, 9), ("read", 2, 3, 4), ("read", 1, 5, 6)),
    "a value from nowhere": history(("write", 1, 0, 1), ("read", 3, 2, 3)),
    "a write before it was asked for": history(("read", 1, 0, 1), ("write", 1, 2, 3)),
    "an unanswered write undone": history(
        ("write", 1, 0, 1), ("write", 2, 2, NEVER), ("read", 2, 3, 4), ("read", 1, 5, 6)
    ),
    "two readers who disagree on the order": history(
        ("write", 1, 0, 9), ("write", 2, 0, 9), ("read", 1, 10, 11), ("read", 2, 12, 13)
    ),
}


@pytest.mark.parametrize("operations", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_could_have_happened_is_accepted(operations: list[Operation[Action]]) -> None:
    assert is_linearizable(operations, 0, register)


@pytest.mark.parametrize("operations", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_have_happened_is_refused(operations: list[Operation[Action]]) -> None:
    assert not is_linearizable(operations, 0, register)


def test_a_value_that_was_appended_twice_is_refused() -> None:
    once = history(("append", 1, 0, NEVER), ("append", 2, 1, 2), ("read", (1, 2), 3, 4))
    assert is_linearizable(once, (), appended)
    twice = history(("append", 1, 0, NEVER), ("append", 2, 1, 2), ("read", (1, 2, 1), 3, 4))
    assert not is_linearizable(twice, (), appended)


def by_trying_all_orders(operations: list[Operation[Action]]) -> bool:
    """The definition, literally: for histories of a few operations."""
    open_ended = [operation for operation in operations if operation.returned == NEVER]
    answered = [operation for operation in operations if operation.returned < NEVER]
    for count in range(len(open_ended) + 1):
        for happened in itertools.combinations(open_ended, count):
            for order in itertools.permutations([*answered, *happened]):
                if fits(order):
                    return True
    return False


def fits(order: tuple[Operation[Action], ...]) -> bool:
    for position, operation in enumerate(order):
        if any(later.returned < operation.called for later in order[position + 1 :]):
            return False
    state: object = 0
    for operation in order:
        state = register(state, operation.action)
        if state is None:
            return False
    return True


def test_it_agrees_with_the_definition_on_histories_of_all_kinds() -> None:
    rng = Random(1)
    verdicts = []
    for _ in range(600):
        operations: list[Operation[Action]] = []
        for value in range(1, rng.randint(3, 6)):
            called = rng.randrange(12)
            returned = NEVER if rng.random() < 0.2 else called + rng.randrange(6)
            action: Action = ("write", value) if rng.random() < 0.5 else ("read", rng.randrange(5))
            operations.append(Operation(action, called, returned))
        verdict = is_linearizable(operations, 0, register)
        assert verdict == by_trying_all_orders(operations), operations
        verdicts.append(verdict)
    assert min(verdicts.count(True), verdicts.count(False)) > 100


def test_shortening_the_search_for_lists_changes_no_verdict() -> None:
    rng = Random(2)
    verdicts = []
    for _ in range(600):
        operations: list[Operation[int | tuple[int, ...]]] = [Operation((), 0, 1)]
        values = list(range(1, rng.randint(2, 5)))
        for value in values:
            called = rng.randrange(12)
            returned = NEVER if rng.random() < 0.3 else called + rng.randrange(8)
            operations.append(Operation(value, called, returned))
        for _ in range(rng.randint(1, 3)):
            seen = rng.sample(values, k=rng.randint(0, len(values)))
            called = rng.randrange(16)
            operations.append(Operation(tuple(sorted(seen) if rng.random() < 0.7 else seen), called, called + 3))
        plain: list[Operation[Action]] = [
            Operation(("append" if isinstance(each.action, int) else "read", each.action), each.called, each.returned)
            for each in operations
        ]
        verdict = lists_are_linearizable(operations)
        assert verdict == is_linearizable(plain, (), appended), operations
        verdicts.append(verdict)
    assert min(verdicts.count(True), verdicts.count(False)) > 30
