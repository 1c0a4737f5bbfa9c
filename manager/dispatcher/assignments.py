"""What one node shall run, as differences to what it has been told. Pure."""

from collections.abc import Callable, Iterable

from core.codec import pack_tasks
from core.model import Task, TaskState
from manager.dispatcher.dependencies import NodeDependencies, with_dependencies
from manager.store import View
from proto import dispatcher_pb2 as pb

_Told = tuple[TaskState, int, bool]
"""Desired state, spec version, whether released: what an agent acts on. Its own statuses are not told back to it."""


class NodeAssignments:
    """What one session has been told. The first `next` is COMPLETE; each later one applies to the one before it."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._told: dict[str, _Told] = {}
        self._touched: set[str] = set()
        self._dependencies = NodeDependencies()
        self._sequence = 0

    def touch(self, task_id: str) -> None:
        """The task may have changed, or may be released now. However often that happens, it is told once."""
        self._touched.add(task_id)

    def next(self, view: View, is_released: Callable[[Task], bool]) -> list[pb.Assignments]:
        """What is new since the last call, in as many messages as it takes; none if nothing is."""
        first = self._sequence == 0
        candidates: Iterable[str] = self._touched
        if first:
            candidates = [task.id for task in view.tasks_of_node(self._node_id)]
        changed, removed, released = [], [], []
        for task_id in candidates:
            task = view.task(task_id)
            if task is None or task.node_id != self._node_id:
                if self._told.pop(task_id, None) is not None:
                    removed.append(task_id)
                    self._dependencies.forget(task_id)
                continue
            before = self._told.get(task_id)
            if before is None and task.status.state < TaskState.ASSIGNED:
                continue
            told = (task.desired_state, task.spec_version, is_released(task))
            self._told[task_id] = told
            self._dependencies.note(task)
            if before is None or before[:2] != told[:2]:
                changed.append(task)
            if told[2] and (before is None or not before[2]):
                released.append(task_id)
        self._touched.clear()
        needed, not_needed = self._dependencies.take(view)
        if not (first or changed or removed or released or needed or not_needed):
            return []
        self._sequence += 1
        message = pb.Assignments(
            kind=pb.Assignments.COMPLETE if first else pb.Assignments.INCREMENTAL,
            applies_to=self._sequence - 1,
            results_in=self._sequence,
            tasks=pack_tasks(changed),
            removed=removed,
            released=released,
        )
        return list(with_dependencies(message, needed, not_needed))
