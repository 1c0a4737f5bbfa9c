"""Whatever happens, the scheduler's index says what the store says, and nobody waits who need not."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.model import Availability, GenericResource, Node, NodeSpec, NodeState, Plugin, Task, TaskState
from manager.store import Event, EventKind
from tests.support.naive_scheduler import FAULTY_AFTER, NaiveScheduler
from tests.support.scheduling import Scheduling, waiting_task
from tests.support.stage import make_node

GIB = 1 << 30
NODES = [f"node{number}" for number in range(5)]
WISHES = {
    "a": {},
    "b": {"memory": GIB, "cpus": 1},
    "c": {"constraints": ["node.labels.zone!=x"], "host_ports": [80]},
    "d": {"generic": {"gpu": 1}},
    "e": {"max_replicas": 2},
    "f": {"preferences": ["node.labels.zone", "node.labels.rack"], "log_driver": "splunk"},
}
SERVICES = list(WISHES)
GPUS = [GenericResource("gpu", f"gpu{number}") for number in range(3)]
PLUGINS = [(), (Plugin("Log", "json-file"),), (Plugin("Log", "json-file"), Plugin("Log", "splunk"))]
LATER = [state for state in TaskState if state > TaskState.ASSIGNED and state is not TaskState.REMOVE]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from(SERVICES), st.integers(1, 4), st.integers(1, 2)),
        st.tuples(st.just("global"), st.sampled_from(SERVICES), st.sampled_from(NODES)),
        st.tuples(
            st.just("node"),
            st.sampled_from(NODES),
            st.sampled_from([NodeState.READY, NodeState.READY, NodeState.DOWN, NodeState.UNKNOWN]),
            st.sampled_from([Availability.ACTIVE, Availability.ACTIVE, Availability.PAUSE, Availability.DRAIN]),
            st.sampled_from(["", "x"]),
            st.sampled_from(["", "r"]),
            st.integers(1, 3),
            st.sampled_from(PLUGINS),
        ),
        st.tuples(st.just("remove node"), st.sampled_from(NODES)),
        st.tuples(st.just("task"), st.integers(0, 99), st.sampled_from(LATER)),
        st.tuples(st.just("stop"), st.integers(0, 99), st.sampled_from([TaskState.SHUTDOWN, TaskState.REMOVE])),
        st.tuples(st.just("delete task"), st.integers(0, 99)),
        st.tuples(st.just("suspect"), st.sampled_from(NODES)),
        st.tuples(st.just("fail"), st.sampled_from(SERVICES), st.sampled_from(NODES), st.integers(1, 2)),
        st.tuples(st.just("run")),
        st.tuples(st.just("run")),
    ),
    min_size=5,
    max_size=40,
)


def apply(stage: Scheduling, step: tuple) -> None:
    kind, *rest = step
    tasks = sorted(stage.tx.tasks(), key=lambda task: task.id)
    if kind == "create":
        service, count, version = rest
        stage.waiting(service, count, version=version, slot=1, **WISHES[service])
    elif kind == "global":
        service, node_id = rest
        stage.waiting(service, node_id=node_id, **WISHES[service])
    elif kind == "node":
        node_id, state, availability, zone, rack, size, plugins = rest
        spec = NodeSpec(availability=availability, labels={"zone": zone, "rack": rack})
        kind = {"cpus": size, "memory": size * GIB, "generic": GPUS[:size], "plugins": plugins}
        stage.put(make_node(node_id, state=state, spec=spec, **kind))
    elif kind == "remove node":
        if stage.tx.node(rest[0]) is not None:
            stage.remove(Node, rest[0])
    elif kind == "suspect":
        stage.suspects.symmetric_difference_update(rest)
    elif kind == "fail":
        fail(stage, *rest)
    elif kind == "run":
        stage.run()
    elif tasks:
        task = tasks[rest[0] % len(tasks)]
        if kind == "delete task":
            stage.remove(Task, task.id)
        elif kind == "stop":
            stage.put(replace(task, desired_state=max(task.desired_state, rest[1])))
        elif TaskState.ASSIGNED <= task.status.state < rest[1]:
            stage.put(replace(task, status=replace(task.status, state=rest[1])))


def fail(stage: Scheduling, service: str, node_id: str, version: int) -> None:
    """Tasks of a service fail on a node, one after another, until it is known for it."""
    if stage.tx.node(node_id) is None:
        return
    for _ in range(FAULTY_AFTER):
        task_id, place = f"{service}.f{stage.writes()}", {"version": version, "node_id": node_id, "slot": 1}
        task = waiting_task(task_id, service, **place, **WISHES[service])
        stage.put(replace(task, status=replace(task.status, state=TaskState.RUNNING)))
        stage.becomes(task.id, TaskState.FAILED)


def opening(max_tasks: int) -> Scheduling:
    """Small nodes, so that room is soon short; the scheduler knows them already."""
    stage = Scheduling(max_tasks)
    for node_id in NODES[:3]:
        stage.put(make_node(node_id, cpus=2, memory=2 * GIB))
    stage.run()
    return stage


def settle(stage: Scheduling) -> None:
    """Also past the time at which suspect nodes are looked at again."""
    stage.run()
    stage.now += 10**10
    stage.run()


@settings(max_examples=200, deadline=None)
@given(steps, st.integers(1, 6))
def test_a_successor_finds_nothing_to_do(made: list[tuple], max_tasks: int):
    stage = opening(max_tasks)
    for step in made:
        apply(stage, step)
    settle(stage)
    successor = Scheduling()
    successor.tx, successor.now = stage.tx, stage.now
    successor.suspects |= stage.suspects
    before = outcome(stage)
    successor.run()
    assert outcome(stage) == before


def outcome(stage: Scheduling) -> dict[str, tuple[str, TaskState, str]]:
    """A node's suspicion is noticed when a task would go there: while there is any, reasons may differ."""
    return {
        task.id: (task.node_id, task.status.state, "" if stage.suspects else task.status.err)
        for task in stage.tx.tasks()
    }


@settings(max_examples=200, deadline=None)
@given(steps, st.integers(1, 6))
def test_what_is_assigned_fits_and_stays(made: list[tuple], max_tasks: int):
    stage = opening(max_tasks)
    placed: dict[str, str] = {}
    for step in [*made, ("run",)]:
        waiting = {task.id for task in stage.tx.tasks() if task.status.state is TaskState.PENDING}
        apply(stage, step)
        for task in stage.tx.tasks():
            if task.id in waiting and task.status.state is TaskState.ASSIGNED:
                placed[task.id] = task.node_id
                node = stage.tx.node(task.node_id)
                assert node.status.state is NodeState.READY
                assert node.spec.availability is Availability.ACTIVE
                assert node.id not in stage.suspects
                assert task.desired_state < TaskState.SHUTDOWN
            assert placed.get(task.id, task.node_id) == task.node_id
        if step == ("run",):
            check_room(stage, waiting)


def check_room(stage: Scheduling, newly: set[str]) -> None:
    """On no node that has just been given a task is more reserved than it has, or a host port taken twice."""
    memory: defaultdict[str, int] = defaultdict(int)
    ports: defaultdict[str, list[int]] = defaultdict(list)
    for task in stage.tx.tasks():
        if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING:
            reserved = task.spec.resources
            memory[task.node_id] += reserved.reservations.memory_bytes if reserved else 0
            ports[task.node_id] += [port.published_port for port in task.ports]
    for task_id in newly:
        task = stage.tx.task(task_id)
        if task is None or task.status.state is not TaskState.ASSIGNED:
            continue
        assert len(ports[task.node_id]) == len(set(ports[task.node_id]))
        if task.spec.resources is not None:
            assert memory[task.node_id] <= stage.tx.node(task.node_id).description.resources.memory_bytes


class Failures:
    """Of each service only the newest version that has failed counts. A test's time is shorter than they last."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, int, str]] = Counter()
        self._newest: dict[str, int] = {}

    def follow(self, events: Sequence[Event]) -> None:
        for event in events:
            task, old = event.object, event.old
            if not (isinstance(task, Task) and isinstance(old, Task)) or event.kind is EventKind.DELETE:
                continue
            failed = (TaskState.FAILED, TaskState.REJECTED)
            if task.slot and task.status.state in failed and old.status.state not in failed:
                newest = self._newest[task.service_id] = max(self._newest.get(task.service_id, 0), task.spec_version)
                for key in [key for key in self.counts if key[0] == task.service_id and key[1] < newest]:
                    del self.counts[key]
                if task.spec_version == newest:
                    self.counts[task.service_id, newest, task.node_id] += 1


@settings(max_examples=300, deadline=None)
@given(steps, st.integers(1, 6))
@example([*[("create", "a", 1, 1)] * 3, ("fail", "a", "node0", 1), ("fail", "a", "node0", 2)], 1)
def test_every_choice_is_one_that_a_naive_scheduler_would_make(made: list[tuple], max_tasks: int):
    stage = opening(max_tasks)
    failures, mark = Failures(), 0
    for step in [*made, ("run",)]:
        if step != ("run",):
            apply(stage, step)
            continue
        failures.follow(stage.tx.events_since(mark))
        naive = NaiveScheduler(stage.tx.nodes(), stage.tx.tasks(), stage.suspects, failures.counts)
        mark = stage.writes()
        apply(stage, step)
        for event in stage.tx.events_since(mark):
            assert isinstance(event.object, Task)
            if event.object.status.state is TaskState.ASSIGNED:
                naive.check_choice(event.old, event.object.node_id)
                check_generic(event.object)
            naive.apply(event.object)
        mark = stage.writes()
    settle(stage)
    naive = NaiveScheduler(stage.tx.nodes(), stage.tx.tasks(), stage.suspects, {})
    for task in stage.tx.tasks():
        if task.status.state is TaskState.PENDING and task.desired_state < TaskState.SHUTDOWN:
            reason = naive.reason(task)
            # When a node became suspect is noticed only where a task would go.
            assert stage.suspects or task.status.err == reason


def check_generic(task: Task) -> None:
    resources = task.spec.resources
    wanted = resources.reservations.generic if resources else ()
    assert sum(1 if item.id else item.value for item in task.generic) == sum(item.value for item in wanted)


@settings(max_examples=100, deadline=None)
@given(steps, st.integers(1, 6))
def test_a_named_resource_has_one_user(made: list[tuple], max_tasks: int):
    stage = opening(max_tasks)
    for step in [*made, ("run",)]:
        apply(stage, step)
        users: Counter[tuple[str, str]] = Counter()
        for task in stage.tx.tasks():
            if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING:
                users.update((task.node_id, item.id) for item in task.generic)
        assert set(users.values()) <= {1}


def test_the_steps_above_do_place_and_refuse():
    """The properties would hold of a scheduler that did nothing."""
    stage = Scheduling()
    stage.put(make_node("node0", cpus=2, memory=2 * GIB))
    stage.put(waiting_task("t", "b", memory=GIB))
    stage.waiting("b", 2, **WISHES["b"])
    stage.waiting("c", 2, **WISHES["c"])
    stage.run()
    assert sum(task.status.state is TaskState.ASSIGNED for task in stage.tx.tasks()) == 3
    assert sum("no suitable node" in task.status.err for task in stage.tx.tasks()) == 2
