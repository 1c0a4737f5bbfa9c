"""What must hold in every cluster, whatever happens. Says nothing of how it is brought about."""

from collections import Counter, defaultdict

from core.model import Availability, Node, NodeState, Resources, Service, ServiceMode, Task, TaskState, UpdateOrder
from manager.store import Commit
from tests.support.small_cluster import SmallCluster


class Invariants:
    """Watches a cluster's log, and looks at its state when it has come to rest."""

    def __init__(self, cluster: SmallCluster) -> None:
        self._cluster = cluster
        self._states: dict[str, tuple[TaskState, TaskState]] = {}
        # The follower's store: what the log says, whoever leads.
        cluster.follower.watch(self._see)

    def check(self) -> None:
        self.managers_agree()
        self.nothing_is_left_behind()
        self.no_task_where_it_may_not_be()
        self.slots_are_unique()
        self.reservations_fit()

    def managers_agree(self) -> None:
        one, other = self._cluster.store, self._cluster.follower
        for kind in ("nodes", "services", "tasks"):
            left = {item.id: item for item in getattr(one, kind)()}
            right = {item.id: item for item in getattr(other, kind)()}
            assert left == right, f"managers disagree about {kind}"

    def no_task_where_it_may_not_be(self) -> None:
        for task in self._live():
            if not task.node_id:
                continue
            node = self._cluster.store.node(task.node_id)
            assert node is not None, f"{task.id} lives on a node that was removed"
            assert node.spec.availability is not Availability.DRAIN, f"{task.id} lives on a drained node"
            assert node.status.state is not NodeState.DOWN, f"{task.id} lives on a node that is down"

    def slots_are_unique(self) -> None:
        """One live task in a slot, or two while an update that starts first replaces one by the other."""
        slots = Counter((task.service_id, task.slot or task.node_id) for task in self._live())
        for (service_id, slot), count in slots.items():
            service = self._cluster.service(service_id)
            most = 2 if _starts_first(service) else 1
            assert count <= most, f"slot {slot} of {service_id} has {count} live tasks"
            if service.spec.mode is ServiceMode.REPLICATED:
                assert isinstance(slot, int), "a slot of a replicated service is a number from 1"

    def reservations_fit(self) -> None:
        taken: dict[str, list[Resources]] = defaultdict(list)
        for task in self._cluster.store.tasks():
            if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING and task.spec.resources:
                taken[task.node_id].append(task.spec.resources.reservations or Resources())
        for node_id, reservations in taken.items():
            node = self._cluster.store.node(node_id)
            if node is not None and node.description is not None:
                cpus = sum(item.nano_cpus for item in reservations)
                assert cpus <= node.description.resources.nano_cpus, f"node {node_id} is overbooked"

    def replicas_are_there(self) -> None:
        """To be asked when nothing disturbs the cluster any more, and every task found a node."""
        live = Counter(task.service_id for task in self._live())
        for service in self._cluster.store.services():
            if service.spec.mode is ServiceMode.REPLICATED:
                assert live[service.id] == service.spec.replicas, f"{service.id} has {live[service.id]} live tasks"
            else:
                usable = [node for node in self._cluster.store.nodes() if _is_usable(node)]
                assert live[service.id] == len(usable), f"{service.id} has {live[service.id]} live tasks"
        for task in self._live():
            assert task.status.state is TaskState.RUNNING, f"{task.id} is {task.status.state.name}"
            service = self._cluster.service(task.service_id)
            assert task.spec == service.spec.task, f"{task.id} was not updated"

    def nothing_is_left_behind(self) -> None:
        for task in self._cluster.store.tasks():
            if self._cluster.store.service(task.service_id) is None:
                assert task.desired_state is TaskState.REMOVE, f"{task.id} has lost its service"
                assert TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING, f"{task.id} is not reaped"

    def _live(self) -> list[Task]:
        return [
            task
            for task in self._cluster.store.tasks()
            if task.desired_state <= TaskState.RUNNING and task.status.state <= TaskState.RUNNING
        ]

    def _see(self, commit: Commit) -> None:
        for event in commit.events:
            task = event.object
            if not isinstance(task, Task):
                continue
            new = (task.status.state, task.desired_state)
            old = self._states.get(task.id, new)
            assert new[0] >= old[0], f"{task.id} went back from {old[0].name} to {new[0].name}"
            assert new[1] >= old[1], f"{task.id} is no longer wanted {old[1].name} but {new[1].name}"
            self._states[task.id] = new


def _starts_first(service: Service) -> bool:
    return service.spec.update is not None and service.spec.update.order is UpdateOrder.START_FIRST


def _is_usable(node: Node) -> bool:
    return node.status.state is NodeState.READY and node.spec.availability is Availability.ACTIVE
