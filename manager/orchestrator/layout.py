"""How a replicated service lies over the nodes that may have it, and which task would better lie elsewhere. Pure.

A place is level when no two of its parts differ by more than one task. The places are the whole cluster, whose parts
are the values of the first spread preference; each such value, whose parts are those of the next one; and in the end
the nodes. One that is not level is made so by moving tasks from its fullest part to its emptiest.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from core.model import Node, Service
from manager.orchestrator.tasks import is_live, is_usable, satisfies
from manager.scheduler.constraint import label_of
from manager.store import View

_Path = tuple[str, ...]
"""A node by its values of the preferences' labels, then its id."""


class Move(NamedTuple):
    slot: int
    node_id: str


class Layout:
    """`places` says of each slot on which node it is, or will be. Slots elsewhere than on nodes that may be given the
    service's tasks count for nothing and stay where they are: a paused node keeps what it has."""

    def __init__(self, view: View, service: Service, places: Mapping[int, str]) -> None:
        placement = service.spec.task.placement
        labels = placement.preferences if placement else ()
        self._most = placement.max_replicas if placement else 0
        self._depths = range(len(labels) + 1)
        self._paths = {
            node.id: _path(node, labels)
            for node in view.nodes()
            if is_usable(node) and satisfies(node, service.spec.task)
        }
        self._places = {slot: node_id for slot, node_id in places.items() if node_id in self._paths}
        self._counts: Counter[_Path] = Counter()
        self._copies = _copies(view, service)
        for node_id in self._places.values():
            self._count(node_id, 1)

    def move(self, move: Move) -> None:
        """The slot lies on the other node from now on."""
        self._count(self._places[move.slot], -1)
        self._count(move.node_id, 1)
        self._copies[move.node_id] += 1
        self._places[move.slot] = move.node_id

    def is_better(self, slot: int, former: str) -> bool:
        """Whether `slot` lies better where it does than where it was: there it would be one of more tasks."""
        there, here = self._paths.get(former), self._paths.get(self._places.get(slot, ""))
        if there is None or here is None:
            return here is not None
        part = next(depth for depth in self._depths if there[: depth + 1] != here[: depth + 1]) + 1
        return self._counts[there[:part]] >= self._counts[here[:part]]

    def next_move(self, movable: Iterable[int], shunned: Collection[str] = ()) -> Move | None:
        """Of the `movable` slots the one to move next, and where to, which is no node of `shunned`; None if the service
        lies as well as it can."""
        slots = {self._paths[self._places[slot]]: slot for slot in sorted(movable) if slot in self._places}
        targets = [
            path
            for node_id, path in self._paths.items()
            if node_id not in shunned and not (self._most and self._copies[node_id] >= self._most)
        ]
        for depth in self._depths:
            fullest, emptiest = self._by_place(slots, depth), self._by_place(targets, depth)
            for place in sorted(fullest.keys() & emptiest.keys()):
                source = max(fullest[place], key=lambda path: self._fill(path, depth))
                target = min(emptiest[place], key=lambda path: self._fill(path, depth))
                if self._counts[source[: depth + 1]] - self._counts[target[: depth + 1]] > 1:
                    return Move(slots[source], target[-1])
        return None

    def _count(self, node_id: str, change: int) -> None:
        path = self._paths[node_id]
        for depth in self._depths:
            self._counts[path[: depth + 1]] += change

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


def _copies(view: View, service: Service) -> Counter[str]:
    """Of each node, how many live tasks of the service it has or is to have."""
    return Counter(task.node_id for task in view.tasks_of_service(service.id) if is_live(task))
