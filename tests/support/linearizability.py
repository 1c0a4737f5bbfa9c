"""Whether a history of concurrent operations could have happened one after the other, each between call and return.

Wing and Gong, "Testing and verifying concurrent objects" (1993), with Lowe's memory of what was tried, "Testing for
linearizability" (2017): depth-first over which operation took effect next; a set of operations that were taken and the
state they left is never visited twice. An operation that never returned may take effect at any time after its call, or
never.
"""

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Action = TypeVar("Action")


@dataclass(slots=True)
class Operation(Generic[Action]):
    action: Action
    called: float
    returned: float = math.inf


class _Node(Generic[Action]):
    """A call or a return in the list of what is not yet taken, in the order of time."""

    __slots__ = ("after", "before", "is_call", "number", "operation", "other")

    def __init__(self, operation: Operation[Action], number: int, is_call: bool) -> None:
        self.operation = operation
        self.number = number
        self.is_call = is_call
        self.other: _Node[Action] = self
        self.before: _Node[Action] | None = None
        self.after: _Node[Action] | None = None

    def lift(self) -> None:
        """Takes a call and its return out of the list."""
        for node in (self, self.other):
            assert node.before is not None
            node.before.after = node.after
            if node.after is not None:
                node.after.before = node.before

    def put_back(self) -> None:
        for node in (self.other, self):
            assert node.before is not None
            node.before.after = node
            if node.after is not None:
                node.after.before = node


def is_linearizable(
    history: Iterable[Operation[Action]], initial: Hashable, step: Callable[[Any, Action], Hashable | None]
) -> bool:
    """`step`: the state after an action, or None if the action, with what it answered, is impossible in that state.

    Where a call and a return carry the same time the two are taken to overlap.
    """
    operations = list(history)
    head = _linked(operations)
    open_ends = sum(operation.returned < math.inf for operation in operations)
    state: Hashable | None = initial
    taken = 0
    seen = {(taken, state)}
    stack: list[tuple[_Node[Action], Hashable | None]] = []
    node = head.after
    while open_ends:
        assert node is not None, "a return comes before the end of the list"
        if node.is_call:
            following = step(state, node.operation.action)
            key = (taken | 1 << node.number, following)
            if following is not None and key not in seen:
                seen.add(key)
                stack.append((node, state))
                state, taken = following, key[0]
                open_ends -= node.operation.returned < math.inf
                node.lift()
                node = head.after
            else:
                node = node.after
        else:  # it returned before anything else can be taken: an earlier choice was wrong
            if not stack:
                return False
            node, state = stack.pop()
            taken &= ~(1 << node.number)
            open_ends += node.operation.returned < math.inf
            node.put_back()
            node = node.after
    return True


def _linked(operations: list[Operation[Action]]) -> "_Node[Action]":
    nodes: list[tuple[float, bool, int, _Node[Action]]] = []
    for number, operation in enumerate(operations):
        call, back = _Node(operation, number, True), _Node(operation, number, False)
        call.other, back.other = back, call
        nodes += [(operation.called, False, number, call), (operation.returned, True, number, back)]
    head: _Node[Action] = _Node(Operation(None, 0), -1, True)  # type: ignore[arg-type]
    last = head
    for *_, node in sorted(nodes, key=lambda entry: entry[:3]):
        last.after, node.before = node, last
        last = node
    return head
