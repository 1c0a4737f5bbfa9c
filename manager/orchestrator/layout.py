"""How a replicated service lies over the nodes that may have it, and which task would better lie elsewhere. Pure.

A place is level when no two of its parts differ by more than one task. The places are the whole cluster, whose parts
are the values of the first spread preference; each such value, whose parts are those of the next one; and in the end
the nodes. One that is not level is made so by moving tasks from its fullest part to its emptiest.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from core.model import Node, Service
from manager.orchestrator.tasks import is_usable, satisfies
from manager.scheduler.constraint import label_of
from manager.store import View

_Path = tuple[str, ...]
"""A node by its values of the preferences' labels, then its id."""


class Move(NamedTuple):
    slot: int
    node_id: str


class _Place(NamedTuple):
    node_id: str
    former: str
    """The node where another task of the slot still is; empty if none."""
    movable: bool


class Layout:
    """Slots are put into it one by one. Those elsewhere than on nodes that may be given the service's tasks count for
    nothing and stay where they are: a paused node keeps what it has."""

    def __init__(self, view: View, service: Service) -> None:
        placement = service.spec.task.placement
        labels = placement.preferences if placement else ()
        self._most = placement.max_replicas if placement else 0
        self._depths = range(len(labels) + 1)
        self._paths = {
            node.id: _path(node, labels)
            for node in view.nodes()
            if is_usable(node) and satisfies(node, service.spec.task)
        }
        self._places: dict[int, _Place] = {}
        self._counts: Counter[_Path] = Counter()
        self._movable: dict[str, set[int]] = defaultdict(set)
        """Slots by node."""
        self._leaving: Counter[str] = Counter()
        """Of each node, how many tasks it has of slots that lie elsewhere from now on."""

    def __len__(self) -> int:
        return len(self._places)

    def put(self, slot: int, node_id: str, *, former: str = "", movable: bool = False) -> None:
        """The slot lies on this node, or is on its way there from `former`."""
        self.remove(slot)
        self._places[slot] = _Place(node_id, former, movable)
        self._note(slot, 1)

    def remove(self, slot: int) -> None:
        if slot in self._places:
            self._note(slot, -1)
            del self._places[slot]

    def is_better(self, slot: int) -> bool:
        """Whether a slot that is on its way will lie better than it did: there it was one of more tasks."""
        place = self._places[slot]
        there, here = self._paths.get(place.former), self._paths.get(place.node_id)
        if there is None or here is None:
            return here is not None
        part = next(depth for depth in self._depths if there[: depth + 1] != here[: depth + 1]) + 1
        return self._counts[there[:part]] >= self._counts[here[:part]]

    def next_move(self, shunned: Collection[str] = ()) -> Move | None:
        """Of the movable slots the one to move next, and where to, which is no node of `shunned`; None if the service
        lies as well as it can."""
        sources = [self._paths[node_id] for node_id, slots in self._movable.items() if slots and node_id in self._paths]
        targets = [
            path for node_id, path in self._paths.items() if node_id not in shunned and not self._is_full(node_id)
        ]
        for depth in self._depths:
            fullest, emptiest = self._by_place(sources, depth), self._by_place(targets, depth)
            for place in sorted(fullest.keys() & emptiest.keys()):
                source = max(fullest[place], key=lambda path: self._fill(path, depth))
                target = min(emptiest[place], key=lambda path: self._fill(path, depth))
                if self._counts[source[: depth + 1]] - self._counts[target[: depth + 1]] > 1:
                    return Move(max(self._movable[source[-1]]), target[-1])
        return None

    def _note(self, slot: int, change: int) -> None:
        place = self._places[slot]
        if place.former:
            self._leaving[place.former] += change
        if place.movable:
            (self._movable[place.node_id].add if change > 0 else self._movable[place.node_id].discard)(slot)
        if (path := self._paths.get(place.node_id)) is not None:
            for depth in self._depths:
                self._counts[path[: depth + 1]] += change

    def _is_full(self, node_id: str) -> bool:
        return 0 < self._most <= self._counts[self._paths[node_id]] + self._leaving[node_id]

    def _fill(self, path: _Path, depth: int) -> tuple[list[int], _Path]:
        """How full the parts are in which a node lies, from `depth` on; the ids decide between equals."""
        return [self._counts[path[: below + 1]] for below in self._depths[depth:]], path

    def _by_place(self, paths: Iterable[_Path], depth: int) -> Mapping[_Path, list[_Path]]:
        found: dict[_Path, list[_Path]] = defaultdict(list)
        for path in paths:
            found[path[:depth]].append(path)
        return found


def _path(node: Node, labels: Iterable[str]) -> _Path:
    return (*(label_of(node, label) for label in labels), node.id)
