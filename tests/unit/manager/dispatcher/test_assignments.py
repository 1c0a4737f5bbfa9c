"""What one node is told of its tasks, without a session."""

from collections.abc import Collection
from dataclasses import replace

from core.model import Task, TaskState, TaskStatus
from manager.dispatcher.assignments import NodeAssignments
from manager.store import Store, Transaction
from proto import dispatcher_pb2 as pb
from tests.support.leading import make_task


class Node:
    """n1 and a store. `look` is what it is told after tasks have been touched."""

    def __init__(self) -> None:
        self.tx: Transaction = Store().transaction()
        self.assignments = NodeAssignments("n1")
        self.waiting: Collection[str] = ()

    def put(self, task: Task) -> None:
        known = self.tx.task(task.id)
        if known is None:
            self.tx.create(task)
        else:
            self.tx.update(replace(task, meta=known.meta))
        self.assignments.touch(task.id)

    def remove(self, task_id: str) -> None:
        self.tx.delete(Task, task_id)
        self.assignments.touch(task_id)

    def look(self) -> pb.Assignments | None:
        told = self.assignments.next(
            self.tx, lambda task: task.desired_state > TaskState.RUNNING and task.id not in self.waiting
        )
        assert len(told) <= 1
        return next(iter(told), None)


def ids(assignments: pb.Assignments | None) -> list[str]:
    assert assignments is not None
    return sorted(task.id for task in assignments.tasks.tasks)


def test_DSP_05_the_first_message_is_complete_even_if_there_is_nothing() -> None:
    node = Node()
    first = node.look()
    assert first is not None
    assert first.kind == pb.Assignments.COMPLETE
    assert ids(first) == []
    assert node.look() is None


def test_DSP_05_only_tasks_of_the_node_that_are_assigned_are_told_and_ended_ones_stay() -> None:
    node = Node()
    for task in (
        make_task("pending", "n1", TaskState.PENDING),
        make_task("assigned", "n1"),
        make_task("failed", "n1", TaskState.FAILED),
        make_task("other", "n2"),
    ):
        node.put(task)
    assert ids(node.look()) == ["assigned", "failed"]
    node.put(make_task("pending", "n1"))
    assert ids(node.look()) == ["pending"]


def test_DSP_05_each_message_applies_to_the_one_before_it() -> None:
    node = Node()
    told = [node.look()]
    for task_id in ("a", "b"):
        node.put(make_task(task_id, "n1"))
        told.append(node.look())
    numbers = [(message.applies_to, message.results_in) for message in told if message is not None]
    assert numbers == [(0, 1), (1, 2), (2, 3)]


def test_DSP_08_a_task_that_came_and_went_between_two_messages_is_not_mentioned() -> None:
    node = Node()
    node.look()
    node.put(make_task("a", "n1"))
    node.remove("a")
    assert node.look() is None


def test_DSP_08_many_changes_of_a_task_are_told_once_and_as_it_is_now() -> None:
    node = Node()
    node.put(make_task("a", "n1"))
    node.look()
    for desired in (TaskState.SHUTDOWN, TaskState.REMOVE):
        node.put(make_task("a", "n1", desired=desired))
    told = node.look()
    assert ids(told) == ["a"]
    assert told is not None
    assert told.tasks.tasks[0].desired_state == TaskState.REMOVE
    node.remove("a")
    gone = node.look()
    assert gone is not None
    assert list(gone.removed) == ["a"]


def test_DSP_08_a_status_alone_is_not_told() -> None:
    node = Node()
    node.put(make_task("a", "n1"))
    node.look()
    for state in (TaskState.RUNNING, TaskState.FAILED):
        node.put(replace(make_task("a", "n1"), status=TaskStatus(state=state, message="from the agent")))
        assert node.look() is None


def test_a_task_is_released_once_and_with_its_change_if_nothing_routes_to_it() -> None:
    node = Node()
    node.put(make_task("a", "n1", TaskState.RUNNING))
    node.put(make_task("b", "n1", TaskState.RUNNING))
    node.look()
    node.waiting = ["a"]
    node.put(make_task("a", "n1", TaskState.RUNNING, TaskState.SHUTDOWN))
    node.put(make_task("b", "n1", TaskState.RUNNING, TaskState.SHUTDOWN))
    told = node.look()
    assert ids(told) == ["a", "b"]
    assert told is not None
    assert list(told.released) == ["b"]
    node.waiting = []
    node.assignments.touch("a")
    later = node.look()
    assert ids(later) == []
    assert later is not None
    assert list(later.released) == ["a"]
    node.assignments.touch("a")
    assert node.look() is None
