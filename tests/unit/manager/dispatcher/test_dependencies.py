"""Which secrets and configs a node is sent, and when it must forget them."""

from collections.abc import Sequence
from dataclasses import replace

from core.model import (
    Config,
    ConfigReference,
    ConfigSpec,
    ContainerSpec,
    Secret,
    SecretReference,
    SecretSpec,
    Task,
    TaskSpec,
    TaskState,
    TaskStatus,
)
from manager.dispatcher.assignments import NodeAssignments
from manager.dispatcher.dependencies import PART
from manager.store import Store, Transaction
from proto import dispatcher_pb2 as pb
from tests.support.leading import make_task


class Node:
    """n1, and a store with secrets s1 and s2 and config c1. `look` is all that it is told since the last look."""

    def __init__(self) -> None:
        self.tx: Transaction = Store().transaction()
        for name in ("s1", "s2"):
            self.tx.create(
                Secret(id=name, spec=SecretSpec(name=name, labels={"a": "b"}, data=f"data of {name}".encode()))
            )
        self.tx.create(Config(id="c1", spec=ConfigSpec(name="c1", data=b"data of c1")))
        self.assignments = NodeAssignments("n1")

    def put(self, task_id: str, secrets: Sequence[str] = (), configs: Sequence[str] = (), **fields: TaskState) -> None:
        container = ContainerSpec(
            secrets=tuple(SecretReference(name, name) for name in secrets),
            configs=tuple(ConfigReference(name, name) for name in configs),
        )
        task = replace(make_task(task_id, "n1", **fields), spec=TaskSpec(container=container))
        known = self.tx.task(task_id)
        if known is None:
            self.tx.create(task)
        else:
            self.tx.update(replace(task, meta=known.meta))
        self.assignments.touch(task_id)

    def end(self, task_id: str, state: TaskState = TaskState.FAILED) -> None:
        task = self.tx.task(task_id)
        assert task is not None
        self.tx.update(replace(task, status=TaskStatus(state=state)))
        self.assignments.touch(task_id)

    def remove(self, task_id: str) -> None:
        self.tx.delete(Task, task_id)
        self.assignments.touch(task_id)

    def parts(self) -> list[pb.Assignments]:
        return self.assignments.next(self.tx, lambda task: False)

    def look(self) -> pb.Assignments:
        (told,) = self.parts() or [pb.Assignments()]
        return told


def sent(told: pb.Assignments) -> list[str]:
    return [item.id for item in (*told.secrets, *told.configs)]


def taken_back(told: pb.Assignments) -> list[str]:
    return [*told.removed_secrets, *told.removed_configs]


def test_DSP_05_the_first_message_has_the_secrets_and_configs_of_tasks_that_have_not_ended() -> None:
    node = Node()
    node.put("a", ["s1"], ["c1"])
    node.put("b", ["s2"], state=TaskState.FAILED)
    node.put("c", ["s2"], state=TaskState.PENDING)
    told = node.look()
    assert told.kind == pb.Assignments.COMPLETE
    assert sent(told) == ["s1", "c1"]
    assert told.secrets[0].spec.data == b"data of s1"
    assert told.configs[0].spec.data == b"data of c1"
    assert not told.secrets[0].spec.labels, "nothing that no task needs"


def test_DSP_05_a_task_that_runs_still_needs_its_secrets() -> None:
    node = Node()
    node.put("a", ["s1"], state=TaskState.RUNNING, desired=TaskState.SHUTDOWN)
    assert sent(node.look()) == ["s1"]


def test_DSP_06_a_secret_that_two_tasks_use_is_sent_once_and_taken_back_after_the_second() -> None:
    node = Node()
    node.look()
    node.put("a", ["s1", "s2"])
    assert sent(node.look()) == ["s1", "s2"]
    node.put("b", ["s1"], ["c1"])
    assert sent(node.look()) == ["c1"]
    node.end("a")
    assert taken_back(node.look()) == ["s2"]
    node.end("b", TaskState.COMPLETE)
    assert taken_back(node.look()) == ["s1", "c1"]
    node.remove("a")
    node.remove("b")
    assert taken_back(node.look()) == []


def test_DSP_06_a_task_that_goes_without_having_ended_gives_its_secrets_back() -> None:
    node = Node()
    node.put("a", ["s1"])
    node.look()
    node.remove("a")
    told = node.look()
    assert list(told.removed) == ["a"]
    assert taken_back(told) == ["s1"]


def test_DSP_06_a_secret_is_not_sent_back_and_forth_when_one_task_follows_another() -> None:
    node = Node()
    node.put("a", ["s1"])
    node.look()
    node.end("a")
    node.put("b", ["s1"])
    told = node.look()
    assert [task.id for task in told.tasks.tasks] == ["b"]
    assert (sent(told), taken_back(told)) == ([], [])


def test_DSP_06_a_missing_secret_does_not_hold_up_the_task() -> None:
    node = Node()
    node.put("a", ["gone", "s1"])
    told = node.look()
    assert [task.id for task in told.tasks.tasks] == ["a"]
    assert sent(told) == ["s1"]


def test_DSP_07_a_node_that_holds_a_secret_is_told_nothing_when_it_is_changed_or_removed() -> None:
    node = Node()
    node.put("a", ["s1"])
    node.look()
    secret = node.tx.secret("s1")
    assert secret is not None
    node.tx.update(replace(secret, spec=replace(secret.spec, labels={"new": "label"})))
    node.assignments.touch("a")
    assert node.parts() == []
    node.tx.delete(Secret, "s1")
    node.assignments.touch("a")
    assert node.parts() == []


def test_another_node_is_told_nothing() -> None:
    node = Node()
    node.put("a", ["s1"])
    other = NodeAssignments("n2").next(node.tx, lambda task: False)
    assert [sent(told) for told in other] == [[]]


def test_more_than_a_message_may_hold_comes_in_several_and_the_last_has_the_tasks() -> None:
    node = Node()
    names = [f"big{number}" for number in range(9)]
    for name in names:
        node.tx.create(Config(id=name, spec=ConfigSpec(name=name, data=b"x" * (PART // 4))))
    node.put("a", configs=names)
    parts = node.parts()
    assert [len(part.configs) for part in parts] == [4, 4, 1]
    assert [part.more for part in parts] == [True, True, False]
    assert [len(part.tasks.tasks) for part in parts] == [0, 0, 1]
    assert {(part.kind, part.applies_to, part.results_in) for part in parts} == {(pb.Assignments.COMPLETE, 0, 1)}
