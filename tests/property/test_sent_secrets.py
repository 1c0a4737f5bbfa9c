"""Whatever tasks come and go on a node, it holds the secrets of those that have not ended, and no others."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from core.codec import decode
from core.model import ContainerSpec, Secret, SecretReference, SecretSpec, Task, TaskSpec, TaskState, TaskStatus
from manager.dispatcher.assignments import NodeAssignments
from manager.store import Store
from tests.support.leading import make_task
from worker.dependencies import Dependencies

TASKS = st.sampled_from(["a", "b", "c", "d"])
SECRETS = [f"s{number}" for number in range(4)]
LATER = st.sampled_from([state for state in TaskState if TaskState.ASSIGNED < state < TaskState.REMOVE])


class Sent(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.tx = Store().transaction()
        for name in SECRETS:
            self.tx.create(Secret(id=name, spec=SecretSpec(name=name, data=name.encode())))
        self.ids: dict[str, str] = {}
        """Of the tasks, each with a name of its own; a later task of that name has another id."""
        self.held = Dependencies()
        self.sent: list[str] = []
        """In this session, and not taken back."""
        self.register()

    @rule()
    def register(self) -> None:
        """The session broke, and there is a new one."""
        self.assignments = NodeAssignments("n1")
        self.sent.clear()

    @rule(name=TASKS, node=st.sampled_from(["n1", "n2"]), secrets=st.sets(st.sampled_from(SECRETS)))
    def assign(self, name: str, node: str, secrets: set[str]) -> None:
        if self.task(name) is None:
            references = tuple(SecretReference(secret, secret) for secret in sorted(secrets))
            spec = TaskSpec(container=ContainerSpec(secrets=references))
            task_id = self.ids[name] = f"{self.ids.get(name, '')}{name}"
            self.tx.create(replace(make_task(task_id, node), spec=spec))
            self.touched(task_id, node)

    @rule(name=TASKS, state=LATER)
    def report(self, name: str, state: TaskState) -> None:
        task = self.task(name)
        if task is not None and state > task.status.state:
            self.tx.update(replace(task, status=TaskStatus(state=state)))
            self.touched(task.id, task.node_id)

    @rule(name=TASKS)
    def remove(self, name: str) -> None:
        task = self.task(name)
        if task is not None:
            self.tx.delete(Task, task.id)
            self.touched(task.id, task.node_id)

    @rule()
    def look(self) -> None:
        for message in self.assignments.next(self.tx, lambda task: False):
            secrets = [decode(Secret, secret) for secret in message.secrets]
            assert not {secret.id for secret in secrets} & set(self.sent), "each is sent once"
            self.sent = [*(held for held in self.sent if held not in message.removed_secrets), *(s.id for s in secrets)]
            if message.applies_to == 0:
                self.held.replace(secrets)
            else:
                self.held.update(secrets, [(Secret, name) for name in message.removed_secrets])
        assert set(self.sent) == self.needed()
        assert {item_id for _, item_id in self.held._held} == self.needed()

    def task(self, name: str) -> Task | None:
        return self.tx.task(self.ids.get(name, ""))

    def touched(self, task_id: str, node: str) -> None:
        if node == "n1":
            self.assignments.touch(task_id)

    def needed(self) -> set[str]:
        return {
            reference.secret_id
            for task in self.tx.tasks_of_node("n1")
            if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING
            for reference in task.spec.container.secrets
        }


TestSent = Sent.TestCase
TestSent.settings = settings(max_examples=100, stateful_step_count=30, deadline=None, print_blob=True)
