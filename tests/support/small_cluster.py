"""A leader and a follower in memory, under a clock that only tests move: the real store, log entries and controllers.

Every entry is applied on the leader as it was proposed and on the follower from its bytes, so a test may let the
follower take over at any moment. Agents are played by whoever reports.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from itertools import count
from typing import TypeVar

from core.clock import SECOND
from core.model import (
    Cluster,
    ClusterSpec,
    ContainerSpec,
    ContainerStatus,
    Node,
    RestartPolicy,
    Service,
    ServiceMode,
    ServiceSpec,
    Task,
    TaskSpec,
    TaskState,
    TaskStatus,
    UpdateOrder,
)
from manager.control import services
from manager.controllers import new_controllers
from manager.dispatcher.reports import record_statuses
from manager.store import Change, Commit, Event, Store, Transaction, encode_entry
from manager.turns import Turns
from tests.support.stage import make_node

T = TypeVar("T")
MAX_ENTRY = 1 << 20


class Writer(Enum):
    USERS = "users"
    MANAGERS = "managers"
    AGENTS = "agents"


class SmallCluster:
    def __init__(self, nodes: int = 0, history: int = 5) -> None:
        self.now = 1_700_000_000 * SECOND
        self.suspects: set[str] = set()
        self.writer = Writer.USERS
        """Who makes the entry that is being applied."""
        self.store, self.follower = Store(), Store()
        self._serial = count(1)
        self._index = count(1)
        self.write(lambda tx: tx.create(Cluster(id="cluster", spec=ClusterSpec(task_history_limit=history))))
        for number in range(nodes):
            self.put_node(make_node(f"node-{number}"))
        self.lead()

    # -- leading

    def lead(self) -> None:
        """A new reign begins: nothing is known but what the store holds."""
        self._turns = Turns(new_controllers(self.new_id, self.suspects.__contains__))
        self._events: list[Event] = []
        self._wake_up: int | None = self.now

    def change_leader(self) -> None:
        """The follower leads from now on."""
        self.store, self.follower = self.follower, self.store
        self.lead()

    def new_id(self) -> str:
        return f"{next(self._serial):025d}"

    def turn(self) -> None:
        events, self._events = self._events, []
        self._wake_up = self.write(lambda tx: self._turns.take(tx, events, self.now), Writer.MANAGERS)
        # A turn knows what it wrote.
        self._events.clear()

    def settle(self, most_turns: int = 1_000) -> None:
        """Turn after turn until nobody wants another now."""
        for _ in range(most_turns):
            if not self._events and (self._wake_up is None or self._wake_up > self.now):
                return
            self.turn()
        raise AssertionError(f"no rest after {most_turns} turns")

    def wait(self, seconds: float) -> None:
        """Time passes; the controllers are woken as they asked for."""
        end = self.now + int(seconds * SECOND)
        self.settle()
        while self._wake_up is not None and self._wake_up <= end:
            self.now = self._wake_up
            self.settle()
        self.now = end

    def write(self, decide: Callable[[Transaction], T], writer: Writer = Writer.USERS) -> T:
        self.writer = writer
        tx = self.store.transaction()
        try:
            result = decide(tx)
            changes = tx.changes()
        finally:
            tx.rollback()
        if changes:
            self._commit(changes)
        return result

    def _commit(self, changes: Sequence[Change]) -> None:
        index = next(self._index)
        request_id = str(index).encode()
        entry = encode_entry(changes, self.now, self.store.spec)
        assert len(entry) < MAX_ENTRY, len(entry)
        unwatch = self.store.watch(self._take)
        self.store.expect(request_id, changes, self.now)
        self.store.apply(index, request_id, entry)
        unwatch()
        self.follower.apply(index, request_id, entry)

    def _take(self, commit: Commit) -> None:
        # The first writes are made before anyone leads.
        if hasattr(self, "_events"):
            self._events.extend(commit.events)

    # -- what users and agents do

    def put_node(self, node: Node) -> Node:
        known = self.store.node(node.id)
        if known is None:
            self.write(lambda tx: tx.create(node))
        else:
            self.write(lambda tx: tx.update(replace(node, meta=known.meta)))
        return self.node(node.id)

    def create(self, spec: ServiceSpec) -> Service:
        service_id = f"service-{self.new_id()}"
        self.write(lambda tx: services.create_service(tx, service_id, spec, self.now))
        self.settle()
        return self.service(service_id)

    def update(self, service_id: str, spec: ServiceSpec) -> Service:
        version = self.service(service_id).meta.version
        self.write(lambda tx: services.update_service(tx, service_id, version, spec, self.now))
        self.settle()
        return self.service(service_id)

    def roll_back(self, service_id: str) -> Service:
        version = self.service(service_id).meta.version
        self.write(lambda tx: services.rollback_service(tx, service_id, version, self.now))
        self.settle()
        return self.service(service_id)

    def rebalance(self, service_id: str, max_unavailable: int, order: UpdateOrder) -> Service:
        self.write(lambda tx: services.rebalance_service(tx, service_id, max_unavailable, order, self.now))
        self.settle()
        return self.service(service_id)

    def remove_service(self, service_id: str) -> None:
        self.write(lambda tx: services.remove_service(tx, service_id))
        self.settle()

    def report_status(self, node_id: str, task_id: str, status: TaskStatus) -> None:
        """As the dispatcher takes it from an agent."""
        self.write(lambda tx: record_statuses(tx, node_id, {task_id: status}), Writer.AGENTS)
        self.settle()

    def report(self, task_id: str, state: TaskState, exit_code: int = 0) -> None:
        """An agent says that a task is at `state`; older news are dropped, as the dispatcher does."""
        task = self.store.task(task_id)
        if task is None or task.status.state >= state:
            return
        container = ContainerStatus("c" * 64, 1, exit_code, "172.17.0.2")
        began = self.now if state is TaskState.RUNNING else task.status.started_at
        status = TaskStatus(self.now, state, state.name.lower(), container=container, started_at=began)
        self.report_status(task.node_id, task_id, status)

    def obey(self, *without: str) -> None:
        """All agents but those of nodes `without` do at once what they are told, until there is nothing left to do."""
        while moved := [task for task in self.store.tasks() if task.node_id not in without and _lags(task)]:
            for task in moved:
                self.report(task.id, min(task.desired_state, TaskState.SHUTDOWN))

    def obey_once(self) -> None:
        """Every agent takes one order, and half a second passes; what follows from it is not carried out yet."""
        for task in list(self.store.tasks()):
            self.report(task.id, min(task.desired_state, TaskState.SHUTDOWN))
        self.wait(0.5)

    def obey_all_at_once(self, service_id: str) -> None:
        """As `obey`, in one entry, for a service with many tasks."""

        def run(tx: Transaction) -> None:
            for task in list(tx.tasks_of_service(service_id)):
                tx.update(replace(task, status=TaskStatus(self.now, TaskState.RUNNING, started_at=self.now)))

        self.write(run)
        self.settle()

    # -- looking

    def node(self, node_id: str) -> Node:
        found = self.store.node(node_id)
        assert found is not None
        return found

    def service(self, service_id: str) -> Service:
        found = self.store.service(service_id)
        assert found is not None
        return found

    def task(self, task_id: str) -> Task:
        found = self.store.task(task_id)
        assert found is not None
        return found

    def tasks(self, service_id: str) -> list[Task]:
        """In the order in which they were made."""
        return sorted(self.store.tasks_of_service(service_id), key=lambda task: task.id)

    def live(self, service_id: str) -> list[Task]:
        return [
            task
            for task in self.tasks(service_id)
            if task.desired_state <= TaskState.RUNNING and task.status.state <= TaskState.RUNNING
        ]

    def running(self, service_id: str) -> list[Task]:
        return [task for task in self.tasks(service_id) if task.status.state is TaskState.RUNNING]


def spec(
    replicas: int | None = 1,
    *,
    name: str = "web",
    mode: ServiceMode = ServiceMode.REPLICATED,
    image: str = "busybox",
    restart: RestartPolicy | None = None,
    **rest: object,
) -> ServiceSpec:
    """A service's spec; `rest` are fields of its task spec."""
    task = TaskSpec(container=ContainerSpec(image=image), restart=restart)
    return ServiceSpec(name=name, mode=mode, replicas=replicas, task=replace(task, **rest))  # type: ignore[arg-type]


def _lags(task: Task) -> bool:
    return TaskState.ASSIGNED <= task.status.state < min(task.desired_state, TaskState.SHUTDOWN)
