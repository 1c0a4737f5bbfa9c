"""Tasks that have no node yet, in groups of one service and spec version: what one of a group asks for, all do."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from core.clock import SECOND
from core.model import PortConfig, Task
from manager.scheduler.nodes import Changes
from manager.scheduler.requirements import Requirements, RequirementsCache

GroupKey = tuple[str, int, str, tuple[PortConfig, ...]]
"""Service, spec version, the node that was chosen for the task when it was made (global services), or empty, and its
ports: those may be of a later version."""

MANY = 200
"""Told tasks beyond which a group is told another reason only now and then: a cluster in motion gives another one every
moment, and each is a write for every task."""
PATIENCE = 10 * SECOND


class Group:
    __slots__ = (
        "_outdated",
        "_reason",
        "_told",
        "_told_at",
        "_untold",
        "key",
        "node_id",
        "preferences",
        "requirements",
        "rests",
        "service_id",
        "spec_version",
        "waits_on",
    )

    def __init__(self, key: GroupKey, requirements: Requirements, preferences: Sequence[str]) -> None:
        self.key = key
        self.service_id, self.spec_version, self.node_id, _ = key
        self.requirements = requirements
        self.preferences = preferences
        self.waits_on: Requirements | str = self.node_id or requirements
        self.rests = False
        """Whether it waits for something to change."""
        self._reason = ""
        self._outdated = False
        """The told ones carry another reason than `_reason`."""
        self._told_at = 0
        self._told: dict[str, None] = {}
        self._untold: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._told) + len(self._untold)

    def add(self, task_id: str) -> bool:
        """Whether the task is new here."""
        if task_id in self._told or task_id in self._untold:
            return False
        self._untold[task_id] = None
        return True

    def discard(self, task_id: str) -> None:
        self._told.pop(task_id, None)
        self._untold.pop(task_id, None)

    def first(self, count: int) -> list[str]:
        return list(islice(chain(self._told, self._untold), count))

    def wait_for(self, reason: str, now: int) -> int | None:
        """Nothing can take the group's tasks; they shall say so. Returns when (ns) those that were told another reason
        shall be told this one, None if that is now."""
        if reason != self._reason:
            self._reason = reason
            self._outdated = bool(self._told)
        if not self._outdated:
            return None
        if len(self._told) > MANY and now < self._told_at + PATIENCE:
            return self._told_at + PATIENCE
        self._untold = {**self._told, **self._untold}
        self._told = {}
        self._outdated = False
        self._told_at = now
        return None

    def untold(self, count: int) -> list[str]:
        """Tasks that were not told a reason yet; they count as told from now on."""
        ids = list(islice(self._untold, count))
        for task_id in ids:
            del self._untold[task_id]
            self._told[task_id] = None
        return ids

    @property
    def all_told(self) -> bool:
        return not self._untold


class Queue:
    """Groups that are to be looked at, and groups that wait for something to change.

    Those that wait for the same nodes fare alike: when something changes the first of them tries, and the next only if
    there was room for that one, or if there is now another reason to be told.
    """

    def __init__(self, cache: RequirementsCache) -> None:
        self._cache = cache
        self._groups: dict[GroupKey, Group] = {}
        # The first of an OrderedDict is found at once, also after many others have left from before it.
        self._due_on_node: OrderedDict[GroupKey, None] = OrderedDict()
        self._due: OrderedDict[GroupKey, None] = OrderedDict()
        self._waiting: dict[Requirements | str, OrderedDict[GroupKey, None]] = {}
        self._reasons: dict[Requirements | str, str] = {}
        """What those that wait for the same nodes were told."""
        self._late: dict[GroupKey, int] = {}
        """Of those that wait, the few that are due at a time (ns) even if nothing changes."""

    def add(self, task: Task) -> None:
        """Again and again does no harm."""
        key = key_of(task)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key, self._cache.of(task), _preferences_of(task))
        if group.add(task.id):
            self._make_due(group)

    def discard(self, task: Task) -> None:
        group = self._groups.get(key_of(task))
        if group is not None:
            group.discard(task.id)
            if not group:
                self._stop_waiting(group)
                self.rest(group)

    def wake(self, changes: Changes) -> None:
        """Who may fare better, or wait for another reason, after `changes` is due again."""
        for waits_on in [waits_on for waits_on in self._waiting if changes.concern(waits_on)]:
            if isinstance(waits_on, str):
                # These have nothing in common but the node that was chosen for them.
                self._wake_all(waits_on)
            else:
                self._wake_next(waits_on)

    def found_room(self, group: Group) -> None:
        """There may be room for another that waits for the same."""
        if not group.node_id:
            self._wake_next(group.waits_on)

    def found_none(self, group: Group, reason: str) -> None:
        """If the reason is a new one the others shall say so too."""
        if not group.node_id and self._reasons.get(group.waits_on) != reason:
            self._wake_all(group.waits_on)
            self._reasons[group.waits_on] = reason

    def wake_late(self, now: int) -> None:
        for key in [key for key, time in self._late.items() if time <= now]:
            self._make_due(self._groups[key])

    def late_times(self) -> Iterable[int]:
        return self._late.values()

    def due(self) -> Iterator[Group]:
        """The groups to look at, those of a given node first. Each comes again until it rests, but after the others: a
        large one holds up nobody."""
        while queue := self._due_on_node or self._due:
            key = next(iter(queue))
            queue.move_to_end(key)
            yield self._groups[key]

    def rest(self, group: Group, until: int | None = None) -> None:
        """The group waits until something changes, or that time (ns) has come; one without tasks is forgotten."""
        self._due_on_node.pop(group.key, None)
        self._due.pop(group.key, None)
        if not group:
            del self._groups[group.key]
            self.found_room(group)  # it may have been the one to try
            self._forget_reason(group.waits_on)
            return
        group.rests = True
        self._waiting.setdefault(group.waits_on, OrderedDict())[group.key] = None
        if until is not None:
            self._late[group.key] = until

    @property
    def anybody_waits(self) -> bool:
        return bool(self._waiting)

    def _wake_next(self, waits_on: Requirements | str) -> None:
        if waiting := self._waiting.get(waits_on):
            self._make_due(self._groups[next(iter(waiting))])

    def _wake_all(self, waits_on: Requirements | str) -> None:
        for key in list(self._waiting.get(waits_on, ())):
            self._make_due(self._groups[key])

    def _make_due(self, group: Group) -> None:
        self._stop_waiting(group)
        (self._due_on_node if group.node_id else self._due)[group.key] = None

    def _stop_waiting(self, group: Group) -> None:
        if group.rests:
            group.rests = False
            self._late.pop(group.key, None)
            waiting = self._waiting[group.waits_on]
            del waiting[group.key]
            if not waiting:
                del self._waiting[group.waits_on]
                self._forget_reason(group.waits_on)

    def _forget_reason(self, waits_on: Requirements | str) -> None:
        if waits_on not in self._waiting:
            self._reasons.pop(waits_on, None)


def key_of(task: Task) -> GroupKey:
    return task.service_id, task.spec_version, task.node_id, task.ports


def _preferences_of(task: Task) -> Sequence[str]:
    """Empty where the node is given."""
    placement = task.spec.placement
    return placement.preferences if placement is not None and not task.node_id else ()
