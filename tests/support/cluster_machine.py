"""A cluster under everything that users, nodes and agents do to it, in any order: a hypothesis state machine."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.errors import FailedPrecondition
from core.model import (
    Availability,
    Node,
    NodeState,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    Service,
    ServiceMode,
    ServiceSpec,
    TaskState,
    UpdateConfig,
    UpdateOrder,
)
from tests.support.invariants import Invariants
from tests.support.small_cluster import SmallCluster, spec
from tests.support.stage import make_node

MOST_NODES = 4
CPUS = 4
REPORTS = (
    TaskState.PREPARING,
    TaskState.READY,
    TaskState.RUNNING,
    TaskState.COMPLETE,
    TaskState.FAILED,
    TaskState.REJECTED,
    TaskState.SHUTDOWN,
)

numbers = st.integers(0, 1_000)


class ClusterMachine(RuleBasedStateMachine):
    """`which` picks one of what there is, so that no example is wasted on what is not."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = SmallCluster(nodes=2, history=2)
        self.holds = Invariants(self.cluster)
        self.made = 0
        self.settle()

    def settle(self) -> None:
        self.cluster.settle()

    # -- users

    @rule(
        replicas=st.integers(0, 4),
        mode=st.sampled_from((ServiceMode.REPLICATED, ServiceMode.GLOBAL)),
        cpus=st.integers(0, 2),
        order=st.sampled_from(UpdateOrder),
        parallelism=st.integers(0, 2),
        delay=st.sampled_from([0, 5 * 10**9]),
    )
    def create_service(
        self, replicas: int, mode: ServiceMode, cpus: int, order: UpdateOrder, parallelism: int, delay: int
    ) -> None:
        self.made += 1
        reserved = ResourceRequirements(reservations=Resources(nano_cpus=cpus * 10**9)) if cpus else None
        wanted = spec(replicas, name=f"s{self.made}", mode=mode, resources=reserved, restart=RestartPolicy(delay=delay))
        self.cluster.create(replace(wanted, update=UpdateConfig(parallelism, order=order)))

    @precondition(lambda self: self._services())
    @rule(which=numbers, replicas=st.integers(0, 5))
    def scale(self, which: int, replicas: int) -> None:
        service = self._service(which)
        self._update(service, replace(service.spec, replicas=replicas))

    @precondition(lambda self: self._services())
    @rule(which=numbers, relabel=st.booleans())
    def update(self, which: int, relabel: bool) -> None:
        service = self._service(which)
        version = service.spec_version
        if relabel:
            self._update(service, replace(service.spec, labels={"v": str(version)}))
        else:
            self._update(service, replace(service.spec, task=replace(service.spec.task, force_update=version)))

    @precondition(lambda self: self._services())
    @rule(which=numbers)
    def remove_service(self, which: int) -> None:
        self.cluster.remove_service(self._service(which).id)

    # -- nodes

    @precondition(lambda self: len(self._nodes()) < MOST_NODES)
    @rule()
    def add_node(self) -> None:
        self.cluster.put_node(make_node(f"node-{self.cluster.new_id()}", cpus=CPUS))
        self.settle()

    @precondition(lambda self: self._nodes())
    @rule(which=numbers, availability=st.sampled_from(Availability))
    def set_availability(self, which: int, availability: Availability) -> None:
        node = self._node(which)
        self.cluster.put_node(replace(node, spec=replace(node.spec, availability=availability)))
        self.settle()

    @precondition(lambda self: self._nodes())
    @rule(which=numbers, state=st.sampled_from([NodeState.UNKNOWN, NodeState.DOWN, NodeState.READY]))
    def set_state(self, which: int, state: NodeState) -> None:
        node = self._node(which)
        self.cluster.put_node(replace(node, status=replace(node.status, state=state)))
        self.settle()

    @precondition(lambda self: len(self._nodes()) > 1)
    @rule(which=numbers)
    def remove_node(self, which: int) -> None:
        node_id = self._node(which).id
        self.cluster.write(lambda tx: tx.delete(Node, node_id))
        self.settle()

    # -- agents

    @rule()
    def agents_do_as_they_are_told(self) -> None:
        self.cluster.obey(*self._silent())

    @precondition(lambda self: self._assigned())
    @rule(which=numbers, state=st.sampled_from(REPORTS))
    def a_task_goes_on(self, which: int, state: TaskState) -> None:
        tasks = self._assigned()
        self.cluster.report(tasks[which % len(tasks)], state)

    @precondition(lambda self: self._assigned())
    @rule(which=numbers)
    def old_news_arrives(self, which: int) -> None:
        """As if nobody upstream had dropped it."""
        tasks = self._assigned()
        task = self.cluster.task(tasks[which % len(tasks)])
        late = replace(task, status=replace(task.status, state=TaskState.ASSIGNED))
        try:
            self.cluster.write(lambda tx: tx.update(late))
        except FailedPrecondition:
            assert task.status.state > TaskState.ASSIGNED
        self.settle()

    # -- time and managers

    @rule(seconds=st.sampled_from([1, 5, 30]))
    def time_passes(self, seconds: int) -> None:
        self.cluster.wait(seconds)

    @rule()
    def change_leader(self) -> None:
        self.cluster.change_leader()
        self.settle()

    @invariant()
    def everything_holds(self) -> None:
        self.holds.check()

    def teardown(self) -> None:
        """Peace: all nodes are there and roomy, agents obey. Then everything must come right by itself."""
        for node in self._nodes():
            self.cluster.put_node(make_node(node.id, cpus=1_000))
        self.settle()
        for _ in range(60):
            self.cluster.obey()
            self.cluster.wait(5)
        self.holds.check()
        self.holds.replicas_are_there()

    # -- picking

    def _update(self, service: Service, wanted: ServiceSpec) -> None:
        self.cluster.update(service.id, wanted)

    def _services(self) -> list[str]:
        return sorted(service.id for service in self.cluster.store.services())

    def _service(self, which: int) -> Service:
        ids = self._services()
        return self.cluster.service(ids[which % len(ids)])

    def _nodes(self) -> list[Node]:
        return sorted(self.cluster.store.nodes(), key=lambda node: node.id)

    def _node(self, which: int) -> Node:
        nodes = self._nodes()
        return nodes[which % len(nodes)]

    def _silent(self) -> list[str]:
        return [node.id for node in self._nodes() if node.status.state is not NodeState.READY]

    def _assigned(self) -> list[str]:
        silent = self._silent()
        return sorted(
            task.id
            for task in self.cluster.store.tasks()
            if task.status.state >= TaskState.ASSIGNED and task.node_id not in silent
        )
