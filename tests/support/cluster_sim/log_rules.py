"""What must hold of every entry of the log, whoever leads: a witness reads along."""

from collections.abc import Iterable

from core.model import Config, Node, Secret, Service, ServiceMode, Task, TaskState, UpdateOrder, UpdateState
from core.model.dependencies import key_of, references_of
from manager.store import Commit, Event, EventKind, slot_of
from tests.support.cluster_sim.updates import Motion, config_of, is_good, is_usable
from tests.support.small_cluster import SmallCluster, Writer

ROLLING = (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED)
_MANAGERS_SAY = (TaskState.REJECTED, TaskState.ORPHANED)
"""Of a task that an agent has; of others they say everything."""


class LogRules:
    def __init__(self, cluster: SmallCluster) -> None:
        self._cluster = cluster
        self._store = cluster.follower
        self.entries = 0
        self._changed: dict[str, int] = {}
        """When a node became another: the tasks that it is not fit for any more go at once."""
        self._motions: dict[str, Motion] = {}
        self._store.watch(self._read)

    def _read(self, commit: Commit) -> None:
        self.entries += 1
        for event in commit.events:
            if isinstance(event.object, Node) and self._cluster.writer is not Writer.MANAGERS:
                self._changed[event.object.id] = self._cluster.now
        tasks = [event for event in commit.events if isinstance(event.object, Task)]
        for event in tasks:
            self._one_life(event)
            self._who_writes(event)
        self._places([event.object for event in tasks if _is_placed(event)])  # type: ignore[misc]
        self._starts_first(tasks)
        for service_id in {event.object.service_id for event in tasks}:  # type: ignore[union-attr]
            service = self._store.service(service_id)
            if service is not None and service.spec.mode is ServiceMode.REPLICATED_JOB:
                self._takes_turns(service, tasks)
            if service is not None and is_moved(service):
                self._moves_few(service, tasks)
            if service is not None and not service.spec.mode.is_job:
                motion = self._motions.setdefault(service_id, Motion())
                motion.read(self._store, service, tasks, self._cluster.now)
        for event in commit.events:
            if isinstance(event.object, Service):
                self._finished(event, event.object)
            elif isinstance(event.object, Secret | Config) and event.kind is EventKind.DELETE:
                self._takes_no_data_away(event.object)

    def _takes_no_data_away(self, item: Secret | Config) -> None:
        """Only users remove a secret or config, or a version of it, that a task still uses."""
        if self._cluster.writer is not Writer.MANAGERS:
            return
        for task in self._store.tasks():
            used = map(key_of, references_of(task.spec.container))
            assert not is_live(task) or key_of(item) not in used, f"{item.id} was taken away from {task.id}"

    def _takes_turns(self, job: Service, events: Iterable[Event]) -> None:
        """A slot of a job is begun only if not too many are in progress already."""
        made = [event.object for event in events if event.kind is EventKind.CREATE]
        begun = [task for task in made if isinstance(task, Task) and task.service_id == job.id and self._is_first(task)]
        busy = {task.slot for task in self._store.tasks_of_service(job.id) if is_live(task)}
        most = job.spec.max_concurrent or 1
        assert not begun or len(busy) <= most, f"{len(busy)} slots of {job.id} are in progress, {most} may at a time"

    def _moves_few(self, service: Service, events: Iterable[Event]) -> None:
        """A rebalance makes a task beside another only in so many slots at a time."""
        beside = [
            slot
            for slot, tasks in self._store.slots(service.id).items()
            if len([task for task in tasks if is_live(task)]) > 1
        ]
        made = [event.object for event in events if event.kind is EventKind.CREATE]
        begun = [task for task in made if isinstance(task, Task) and task.service_id == service.id]
        rolling = service.update_status is not None and service.update_status.state in ROLLING
        if service.rebalance is not None and not rolling and any(task.slot in beside for task in begun):
            most = service.rebalance.max_unavailable
            assert len(beside) <= most, f"{len(beside)} tasks of {service.id} are spread again at once, {most} may"

    def _is_first(self, task: Task) -> bool:
        tasks = self._store.tasks_of_slot(task.service_id, slot_of(task))
        return sum(other.job_iteration == task.job_iteration for other in tasks) == 1

    # -- one task

    def _one_life(self, event: Event) -> None:
        task, old = event.object, event.old
        assert isinstance(task, Task)
        if event.kind is EventKind.DELETE:
            unfit = self._changed.get(task.node_id) == self._cluster.now
            assert unfit or task.status.state > TaskState.RUNNING or task.status.state < TaskState.ASSIGNED, (
                f"{task.id} is forgotten while it is {task.status.state.name}"
            )
        if not isinstance(old, Task) or event.kind is EventKind.DELETE:
            return
        assert task.status.state >= old.status.state, (
            f"{task.id} went back from {old.status.state.name} to {task.status.state.name}"
        )
        assert task.desired_state >= old.desired_state, (
            f"{task.id} is no longer wanted {old.desired_state.name} but {task.desired_state.name}"
        )
        assert (task.service_id, task.slot, task.spec) == (old.service_id, old.slot, old.spec), f"{task.id} is another"
        assert not old.node_id or task.node_id == old.node_id, f"{task.id} has moved"

    def _who_writes(self, event: Event) -> None:
        task, old = event.object, event.old
        if not isinstance(task, Task) or not isinstance(old, Task) or event.kind is EventKind.DELETE:
            return
        if self._cluster.writer is Writer.AGENTS:
            assert task.desired_state is old.desired_state, f"an agent wants {task.id} {task.desired_state.name}"
        elif task.status.state is not old.status.state and old.status.state >= TaskState.ASSIGNED:
            assert task.status.state in _MANAGERS_SAY, f"a manager says that {task.id} is {task.status.state.name}"

    # -- one node

    def _places(self, placed: Iterable[Task]) -> None:
        """A node that has just been given a task may have it, and has room for all that it has."""
        for task in placed:
            node = self._store.node(task.node_id)
            assert node is not None, f"{task.id} was given to a node that is not there"
            assert is_usable(node), f"{task.id} was given to a node that takes none"
            self._has_room(node, bool(task.spec.resources))
            placement = task.spec.placement
            for constraint in placement.constraints if placement else ():
                zone = constraint.removeprefix("node.labels.zone==")
                assert node.spec.labels.get("zone") == zone, f"{task.id} lies in another zone than {zone}"
            if placement and placement.max_replicas:
                copies = [
                    other
                    for other in self._store.tasks_of_node(node.id)
                    if other.spec == task.spec and other.service_id == task.service_id and is_live(other)
                ]
                assert len(copies) <= placement.max_replicas, f"{node.id} has {len(copies)} copies of {task.service_id}"

    def _has_room(self, node: Node, reserves: bool) -> None:
        """A node that has become smaller than its tasks may be given others that reserve nothing."""
        holding = [task for task in self._store.tasks_of_node(node.id) if is_placed(task)]
        assert node.description is not None
        cpus = sum(
            task.spec.resources.reservations.nano_cpus
            for task in holding
            if task.spec.resources and task.spec.resources.reservations
        )
        assert not reserves or cpus <= node.description.resources.nano_cpus, f"{node.id} is overbooked"
        given = [resource for task in holding for resource in task.generic]
        names = [(resource.kind, resource.id) for resource in given if resource.id]
        assert len(names) == len(set(names)), f"{node.id} gave a named resource twice: {names}"
        for resource in node.description.resources.generic:
            units = sum(other.value for other in given if other.kind == resource.kind and not other.id)
            assert resource.id or units <= resource.value, f"{node.id} gave {units} units of {resource.kind}"
        ports = [port for task in holding for port in task.ports if port.publish_mode.name == "HOST"]
        assert len(ports) == len(set(ports)), f"{node.id} gave a host port twice"

    # -- updates

    def _starts_first(self, events: Iterable[Event]) -> None:
        """An update that starts first takes no running task away before another runs in its slot."""
        if self._cluster.writer is not Writer.MANAGERS:
            return
        for event in events:
            task, old = event.object, event.old
            if not isinstance(task, Task) or not isinstance(old, Task) or event.kind is EventKind.DELETE:
                continue
            stopped = old.desired_state < TaskState.SHUTDOWN is task.desired_state
            service = self._store.service(task.service_id)
            if not stopped or task.status.state is not TaskState.RUNNING or service is None:
                continue
            if is_moved(service) and service.rebalance.order is UpdateOrder.STOP_FIRST:
                continue
            if config_of(service).order is UpdateOrder.START_FIRST and self._may_stay(task, service):
                others = self._store.tasks_of_slot(task.service_id, slot_of(task))
                runs = any(is_live(other) and other.status.state is TaskState.RUNNING for other in others)
                assert runs, f"{task.id} was stopped before another started"

    def _may_stay(self, task: Task, service: Service) -> bool:
        node = self._store.node(task.node_id)
        if node is None or not is_good(node):
            return False
        placement = service.spec.task.placement
        zones = [item.removeprefix("node.labels.zone==") for item in placement.constraints] if placement else []
        return bool(task.slot) or all(node.spec.labels.get("zone") == zone for zone in zones)

    def _finished(self, event: Event, service: Service) -> None:
        """Whatever is said to be completed has no task of another spec left."""
        status, old = service.update_status, event.old
        if status is None or status.state not in (UpdateState.COMPLETED, UpdateState.ROLLBACK_COMPLETED):
            return
        before = old.update_status if isinstance(old, Service) else None
        if event.kind is EventKind.DELETE or (before is not None and before.state is status.state):
            return
        for task in self._store.tasks_of_service(service.id):
            if not is_live(task) or not (task.slot or is_usable(self._store.node(task.node_id))):
                continue
            alike = task.spec_version == service.spec_version or task.spec.container == service.spec.task.container
            assert alike, f"{status.state.name} is said of {service.id}, but {task.id} is of another spec"
            if status.state is UpdateState.ROLLBACK_COMPLETED and not is_moved(service):
                assert task.status.state is TaskState.RUNNING, f"{service.id} is rolled back, but not {task.id}"


def is_placed(task: Task) -> bool:
    """Whether it takes room on its node."""
    return TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING


def is_live(task: Task) -> bool:
    return task.desired_state < TaskState.SHUTDOWN and task.status.state <= TaskState.RUNNING


def _is_placed(event: Event) -> bool:
    """Whether a task has just been given to its node."""
    task, old = event.object, event.old
    if not isinstance(task, Task) or task.status.state is not TaskState.ASSIGNED:
        return False
    return not isinstance(old, Task) or old.status.state < TaskState.ASSIGNED


def is_moved(service: Service) -> bool:
    """Whether its tasks are being spread again."""
    return service.rebalance is not None and not service.rebalance.completed_at
