"""The scheduler's rules as plainly as they can be said: no index, no memory, everything counted anew each time."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from core.model import (
    Availability,
    GenericResource,
    Node,
    NodeState,
    Placement,
    PublishMode,
    Resources,
    Task,
    TaskState,
)
from manager.scheduler.constraint import label_of, matches, parse_constraints

FAULTY_AFTER = 5
ORDER = [
    "{} not available for new tasks",
    "insufficient resources on {}",
    "missing plugin on {}",
    "scheduling constraints not satisfied on {}",
    "host-mode port already in use on {}",
    "max replicas per node limit exceeded on {}",
]


class NaiveScheduler:
    """What could be done with a task in a cluster of these objects. `failures` are of (service, version, node)."""

    def __init__(
        self,
        nodes: Iterable[Node],
        tasks: Iterable[Task],
        suspects: Iterable[str],
        failures: Mapping[tuple[str, int, str], int],
    ) -> None:
        self._nodes = {node.id: node for node in nodes}
        self._tasks = {task.id: task for task in tasks}
        self._suspects = set(suspects)
        self._failures = failures

    def apply(self, task: Task) -> None:
        self._tasks[task.id] = task

    def check_choice(self, task: Task, node_id: str) -> None:
        """Raises AssertionError unless `node_id` is one of the best for `task`, which has none yet or only this one."""
        able = [node for node in self._candidates(task) if self.objection(task, node) is None]
        assert node_id in {node.id for node in able}, f"{node_id} refuses {task.id}"
        if task.node_id:
            return
        labels = (task.spec.placement or Placement()).preferences
        best = self._best(task, able, list(self._nodes.values()), labels)
        assert node_id in best, f"{task.id} on {node_id}, not on one of {sorted(best)}"

    def reason(self, task: Task) -> str:
        """What a task says that waits. Raises AssertionError if it need not."""
        found = Counter(self.objection(task, node) for node in self._candidates(task))
        assert found[None] == 0, f"{task.id} waits although {found[None]} nodes would take it"
        said = sorted((text for text in ORDER if found[text]), key=lambda text: -found[text])
        counts = [text.format(f"{found[text]} node{'' if found[text] == 1 else 's'}") for text in said]
        return f"no suitable node ({'; '.join(counts)})" if counts else "no suitable node"

    def objection(self, task: Task, node: Node) -> str | None:
        ready, room, plugin, constraint, port, replicas = ORDER
        if node.status.state is not NodeState.READY or node.spec.availability is not Availability.ACTIVE:
            return ready
        if node.id in self._suspects:
            return ready
        here = self._tasks_on(node)
        if not _has_room(_reserved(task), node, here):
            return room
        names = [item.name for item in node.description.plugins if item.type == "Log"]
        if task.spec.log_driver is not None and names and task.spec.log_driver.name not in names:
            return plugin
        placement = task.spec.placement or Placement()
        if not matches(parse_constraints(placement.constraints), node):
            return constraint
        if _host_ports(task) & {held for other in here for held in _host_ports(other)}:
            return port
        if placement.max_replicas and self._copies(task, node) >= placement.max_replicas:
            return replicas
        return None

    def _candidates(self, task: Task) -> list[Node]:
        if task.node_id:
            return [node for node in self._nodes.values() if node.id == task.node_id]
        return list(self._nodes.values())

    def _best(self, task: Task, able: list[Node], branch: list[Node], labels: Sequence[str]) -> set[str]:
        """The ids of those of the `able` that are as good as any, `branch` being all nodes among which it is."""
        if not labels:
            least = min(self._key(task, node) for node in able)
            return {node.id for node in able if self._key(task, node) == least}
        label, *rest = labels
        able_by_value, all_by_value = _by_value(able, label), _by_value(branch, label)
        tasks = {value: sum(self._copies(task, node) for node in all_by_value[value]) for value in able_by_value}
        return {
            node_id
            for value, nodes in able_by_value.items()
            if tasks[value] == min(tasks.values())
            for node_id in self._best(task, nodes, all_by_value[value], rest)
        }

    def _key(self, task: Task, node: Node) -> tuple[bool, int, int]:
        failures = self._failures.get((task.service_id, task.spec_version, node.id), 0)
        load = sum(other.desired_state < TaskState.SHUTDOWN for other in self._tasks_on(node))
        return failures >= FAULTY_AFTER, self._copies(task, node), load

    def _copies(self, task: Task, node: Node) -> int:
        return sum(
            other.service_id == task.service_id and other.desired_state < TaskState.SHUTDOWN
            for other in self._tasks_on(node)
        )

    def _tasks_on(self, node: Node) -> list[Task]:
        return [
            task
            for task in self._tasks.values()
            if task.node_id == node.id and TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING
        ]


def _by_value(nodes: Iterable[Node], label: str) -> Mapping[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in nodes:
        found.setdefault(label_of(node, label), []).append(node)
    return found


def _has_room(wanted: Resources, node: Node, here: list[Task]) -> bool:
    if not (wanted.nano_cpus or wanted.memory_bytes or wanted.generic):
        return True
    total, held = node.description.resources, [_reserved(task) for task in here]
    if wanted.nano_cpus > total.nano_cpus - sum(item.nano_cpus for item in held):
        return False
    if wanted.memory_bytes > total.memory_bytes - sum(item.memory_bytes for item in held):
        return False
    handed_out = [resource for task in here for resource in task.generic]
    return all(
        item.value <= _units(total.generic, item.kind) - _units(handed_out, item.kind) for item in wanted.generic
    )


def _units(resources: Iterable[GenericResource], kind: str) -> int:
    return sum(1 if item.id else item.value for item in resources if item.kind == kind)


def _reserved(task: Task) -> Resources:
    resources = task.spec.resources
    return resources.reservations if resources and resources.reservations else Resources()


def _host_ports(task: Task) -> set[int]:
    return {port.published_port for port in task.ports if port.publish_mode is PublishMode.HOST}
