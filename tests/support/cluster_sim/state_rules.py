"""What must hold of a cluster whenever the managers have come to rest, and what when nothing disturbs it any more."""

from collections import Counter, defaultdict

from core.model import (
    PublishMode,
    RestartCondition,
    Service,
    ServiceMode,
    Task,
    TaskState,
    UpdateOrder,
    UpdateState,
)
from core.model.dependencies import key_of, references_of
from manager.store import Commit, EventKind, Slot, slot_of
from tests.support.cluster_sim import images
from tests.support.cluster_sim.log_rules import is_live, is_moved
from tests.support.cluster_sim.updates import config_of, is_good, is_usable
from tests.support.cluster_sim.world import World


class StateRules:
    def __init__(self, world: World) -> None:
        self._world = world
        self._cluster = world.cluster
        self._starts_first: set[str] = set()
        """Tasks that were made while their service started first: two copies are meant to run for a while."""
        self._beside: set[str] = set()
        """Tasks that a rebalance has made, while the one that they may take the place of runs on."""
        self._limits: dict[str, int] = {}
        self._counted: set[str] = set()
        """Services whose restarts were limited once, so that their history counted them."""
        self._cluster.follower.watch(self._note_order)

    def _note_order(self, commit: Commit) -> None:
        for event in commit.events:
            task = event.object
            service = self._cluster.store.service(task.service_id) if isinstance(task, Task) else None
            if service is None or event.kind is not EventKind.CREATE:
                continue
            if is_moved(service):
                self._beside.add(event.object.id)
            order = service.rebalance.order if is_moved(service) and service.rebalance else config_of(service).order
            if order is UpdateOrder.START_FIRST or config_of(service).order is UpdateOrder.START_FIRST:
                self._starts_first.add(event.object.id)

    def check(self) -> None:
        self.managers_agree()
        self.nothing_is_left_behind()
        self.no_task_where_it_may_not_be()
        self.slots_are_unique()
        self.ports_are_unique()
        self.data_is_there()
        self.history_is_bounded()
        self.copies_do_not_overlap()

    def managers_agree(self) -> None:
        one, other = self._cluster.store, self._cluster.follower
        for kind in ("nodes", "services", "tasks", "secrets", "configs"):
            left = {item.id: item for item in getattr(one, kind)()}
            right = {item.id: item for item in getattr(other, kind)()}
            assert left == right, f"managers disagree about {kind}"

    def nothing_is_left_behind(self) -> None:
        for task in self._cluster.store.tasks():
            if self._cluster.store.service(task.service_id) is None:
                assert task.desired_state is TaskState.REMOVE, f"{task.id} has lost its service"
                assert TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING, f"{task.id} is not reaped"

    def no_task_where_it_may_not_be(self) -> None:
        for task in self._cluster.store.tasks():
            if task.node_id and is_live(task):
                assert is_good(self._cluster.store.node(task.node_id)), f"{task.id} lives on a node that it must leave"

    def slots_are_unique(self) -> None:
        """One live task in a slot, or two while one takes the other's place that starts first."""
        for service in self._cluster.store.services():
            for slot, tasks in self._cluster.store.slots(service.id).items():
                live = [task.id for task in tasks if is_live(task)]
                most = 1 if (self._starts_first | self._beside).isdisjoint(live) else 2
                assert len(live) <= most, f"slot {slot} of {service.id} has {len(live)} live tasks"

    def ports_are_unique(self) -> None:
        held = Counter(
            (port.protocol, port.published_port)
            for service in self._cluster.store.services()
            for port in service.endpoint.ports
            if port.publish_mode is PublishMode.INGRESS
        )
        assert all(count == 1 for count in held.values()), f"a port is held twice: {held}"

    def data_is_there(self) -> None:
        """Whatever users remove, and wherever an update goes back to."""
        store = self._cluster.store
        for service in store.services():
            gone = [item for item in references_of(service.spec.task.container) if not store.dependency(key_of(item))]
            assert not gone, f"{service.id} asks for what is gone: {gone}"

    def history_is_bounded(self) -> None:
        cluster = self._cluster.store.cluster
        assert cluster is not None
        for service in self._cluster.store.services():
            policy = service.spec.task.restart
            attempts = policy.max_attempts if policy else 0
            limit = attempts + 1 if attempts else cluster.spec.task_history_limit
            if attempts:
                self._counted.add(service.id)
            # A lower one is kept to as tasks end.
            limit = self._limits[service.id] = max(limit, self._limits.get(service.id, 0))
            for slot, tasks in self._cluster.store.slots(service.id).items():
                ended = [task for task in tasks if _has_ended(task)]
                # One may be what a delay is counted from, and what still stops takes no attempt's place.
                few = len(tasks) <= limit or len(ended) <= 1 or (service.id in self._counted and len(ended) < limit)
                assert few, f"slot {slot} of {service.id} keeps {len(tasks)} task objects"

    def copies_do_not_overlap(self) -> None:
        """Two copies of a slot run only if one was started first on purpose, or was lost with its node."""
        copies: dict[tuple[str, Slot], list[str]] = defaultdict(list)
        for agent in self._world.agents.values():
            for task in agent.running.values():
                if task.id not in agent.lost and task.id not in self._starts_first:
                    copies[task.service_id, slot_of(task)].append(task.id)
        for (service_id, slot), tasks in copies.items():
            assert len(tasks) == 1, f"slot {slot} of {service_id} runs {tasks}"

    # -- in peace

    def cannot_come_right(self, service: Service) -> bool:
        """Whether it asks for what cannot be had, or has given up."""
        task, status = service.spec.task, service.update_status
        halted = status is not None and status.state in (UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED)
        policy = task.restart
        gives_up = policy is not None and (policy.condition is not RestartCondition.ANY or policy.max_attempts > 0)
        placed = task.placement is not None and (task.placement.max_replicas or task.placement.constraints)
        ports = service.spec.endpoint.ports if service.spec.endpoint else ()
        crowded = any(port.publish_mode is PublishMode.HOST for port in ports)
        reserved = task.resources.reservations if task.resources else None
        scarce = reserved is not None and reserved.generic
        return bool(halted or gives_up or placed or crowded or scarce or task.container.image in images.BAD)

    def all_is_as_asked(self) -> None:
        for service in self._cluster.store.services():
            if service.spec.mode.is_job:
                self._job_is_done(service)
            else:
                self._service_is_there(service)
        for node in self._cluster.store.nodes():
            agent = self._world.agents[node.id]
            tasks = {
                task.id: task
                for task in self._cluster.store.tasks_of_node(node.id)
                if task.status.state <= TaskState.RUNNING
            }
            assert agent.running.keys() == tasks.keys(), f"{node.id} runs {set(agent.running)} instead of {set(tasks)}"
            used = {key_of(item)[1] for task in tasks.values() for item in references_of(task.spec.container)}
            assert agent.data == used, f"{node.id} holds the data {agent.data} instead of {used}"

    def _service_is_there(self, service: Service) -> None:
        live = [task for task in self._cluster.tasks(service.id) if is_live(task)]
        wanted = service.spec.replicas
        if service.spec.mode is ServiceMode.GLOBAL:
            wanted = len([node for node in self._cluster.store.nodes() if is_usable(node)])
        assert len(live) == wanted, f"{service.id} has {len(live)} live tasks instead of {wanted}"
        for task in live:
            assert task.status.state is TaskState.RUNNING, f"{task.id} is {task.status.state.name}: {task.status.err}"
            assert task.spec == service.spec.task, f"{task.id} was not updated"
        assert not is_moved(service), f"the rebalance of {service.id} has not ended"
        status = service.update_status
        ended = status is None or status.state in (UpdateState.COMPLETED, UpdateState.ROLLBACK_COMPLETED)
        assert ended, f"the update of {service.id} has not ended: {status}"

    def _job_is_done(self, service: Service) -> None:
        iteration = service.job_status.iteration if service.job_status else 0
        done = [
            task
            for task in self._cluster.tasks(service.id)
            if task.job_iteration == iteration and task.status.state is TaskState.COMPLETE
        ]
        assert all(task.job_iteration == iteration for task in self._cluster.tasks(service.id)), "a run is left over"
        wanted = service.spec.total_completions
        if service.spec.mode is ServiceMode.GLOBAL_JOB:
            wanted = len([node for node in self._cluster.store.nodes() if is_usable(node)])
        slots = {slot_of(task) for task in done}
        assert len(slots) == wanted, f"{service.id} has {len(slots)} completed slots instead of {wanted}"


def _has_ended(task: Task) -> bool:
    return task.status.state > TaskState.RUNNING and task.desired_state >= TaskState.SHUTDOWN
