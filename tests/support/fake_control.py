"""A cluster in memory that does at once what it is asked: every task of a service runs as soon as it is made."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import count

from core.clock import SECOND
from core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, OutOfSequence
from core.model import (
    Cluster,
    ClusterSpec,
    ContainerStatus,
    Endpoint,
    LogLine,
    LogOptions,
    ManagerStatus,
    Meta,
    Node,
    NodeDescription,
    NodeSpec,
    NodeState,
    NodeStatus,
    Platform,
    Plugin,
    Reachability,
    Resources,
    Role,
    Service,
    ServiceMode,
    ServiceSpec,
    Task,
    TaskState,
    TaskStatus,
    UpdateState,
    UpdateStatus,
)
from pyswarm.engineapi.ports import Filters

START = 1_795_244_780 * SECOND
DESCRIPTION = NodeDescription(
    platform=Platform("x86_64", "linux"),
    resources=Resources(2 * 10**9, 25_276_502_016),
    engine_version="20.10.24+dfsg1",
    plugins=(Plugin("Log", "awslogs"), Plugin("Log", "fluentd")),
)


class FakeControl:
    def __init__(self, cluster: Cluster) -> None:
        self._index = count(10)
        self._serial = count(1)
        self.now = START
        self.cluster = replace(cluster, id=self.new_id("c"), meta=self._meta())
        self.nodes: dict[str, Node] = {}
        self.services: dict[str, Service] = {}
        self.tasks: dict[str, Task] = {}
        self.lines: list[LogLine] = []
        self.log_options: LogOptions | None = None
        self.error: Exception | None = None
        """Raised by every call, if set."""

    def new_id(self, letter: str) -> str:
        return f"{letter}{next(self._serial):024d}"

    def add_node(self, hostname: str, role: Role = Role.WORKER, *, leader: bool = False) -> Node:
        address = f"10.231.0.{len(self.nodes) + 1}"
        manager = ManagerStatus(f"{address}:2377", leader, Reachability.REACHABLE) if role is Role.MANAGER else None
        node = Node(
            id=self.new_id("n"),
            meta=self._meta(),
            spec=NodeSpec(role=role),
            role=role,
            description=replace(DESCRIPTION, hostname=hostname),
            status=NodeStatus(NodeState.READY, addr=address),
            manager=manager,
        )
        self.nodes[node.id] = node
        return node

    async def get_cluster(self) -> Cluster:
        self._answer()
        return self.cluster

    async def update_cluster(
        self, version: int, spec: ClusterSpec, rotate_worker_token: bool, rotate_manager_token: bool
    ) -> Cluster:
        self._check(self.cluster.meta, version)
        root = self.cluster.root_ca
        if rotate_worker_token:
            root = replace(root, worker_token=self._rotate(root.worker_token))
        if rotate_manager_token:
            root = replace(root, manager_token=self._rotate(root.manager_token))
        self.cluster = replace(self.cluster, spec=spec, root_ca=root, meta=self._touch(self.cluster.meta))
        return self.cluster

    async def list_nodes(self, filters: Filters) -> list[Node]:
        self._answer()
        tests: dict[str, Callable[[Node, str], bool]] = {
            "id": lambda node, value: node.id.startswith(value),
            "name": lambda node, value: bool(node.description and node.description.hostname.startswith(value)),
            "role": lambda node, value: node.spec.role.name.lower() == value,
            "node.label": lambda node, value: value in _pairs(node.spec.labels),
            "label": lambda node, value: bool(node.description and value in _pairs(node.description.engine_labels)),
        }
        return _select(self.nodes.values(), filters, tests)

    async def get_node(self, ref: str) -> Node:
        self._answer()
        return _find(self.nodes.values(), "node", ref, lambda node: node.description.hostname)

    async def update_node(self, node_id: str, version: int, spec: NodeSpec) -> Node:
        node = await self.get_node(node_id)
        self._check(node.meta, version)
        manager = None
        if spec.role is Role.MANAGER:
            manager = node.manager or ManagerStatus(f"{node.status.addr}:2377", False, Reachability.REACHABLE)
        self.nodes[node.id] = replace(node, spec=spec, role=spec.role, manager=manager, meta=self._touch(node.meta))
        return self.nodes[node.id]

    async def remove_node(self, ref: str, force: bool) -> None:
        node = await self.get_node(ref)
        if node.manager is not None:
            raise FailedPrecondition(
                f"node {node.id} is a cluster manager and is a member of the raft cluster. "
                "It must be demoted to worker before removal"
            )
        if not force and node.status.state is NodeState.READY:
            raise FailedPrecondition(f"node {node.id} is not down and can't be removed")
        del self.nodes[node.id]

    async def create_service(self, spec: ServiceSpec, request_id: bytes) -> Service:
        self._answer()
        if not spec.name.isalnum():
            raise InvalidArgument("name must be valid as a DNS name component")
        if any(service.spec.name == spec.name for service in self.services.values()):
            raise AlreadyExists(f"name conflicts with an existing object: service {spec.name} already exists")
        service = Service(id=self.new_id("s"), meta=self._meta(), spec=spec, endpoint=_endpoint(spec))
        self.services[service.id] = service
        self._converge(service)
        return service

    async def list_services(self, filters: Filters) -> list[tuple[Service, int, int]]:
        self._answer()
        tests: dict[str, Callable[[Service, str], bool]] = {
            "id": lambda service, value: service.id.startswith(value),
            "name": lambda service, value: service.spec.name.startswith(value),
            "mode": lambda service, value: service.spec.mode.name.lower() == value,
            "label": lambda service, value: value in _pairs(service.spec.labels),
        }
        services = _select(self.services.values(), filters, tests)
        return [(service, running := len(self._of(service)), running) for service in services]

    async def get_service(self, ref: str) -> Service:
        self._answer()
        return _find(self.services.values(), "service", ref, lambda service: service.spec.name)

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> Service:
        service = await self.get_service(service_id)
        self._check(service.meta, version)
        changed = replace(
            service,
            spec=spec,
            previous_spec=service.spec,
            spec_version=service.spec_version + 1,
            endpoint=_endpoint(spec),
            meta=self._touch(service.meta),
        )
        if spec.task != service.spec.task:
            status = UpdateStatus(UpdateState.COMPLETED, self.now, self.now, "update completed")
            changed = replace(changed, update_status=status)
        self.services[service.id] = changed
        self._converge(changed)
        return changed

    async def rollback_service(self, service_id: str, version: int) -> Service:
        service = await self.get_service(service_id)
        if service.previous_spec is None:
            raise FailedPrecondition(f"service {service.id} does not have a previous spec")
        return await self.update_service(service_id, version, service.previous_spec)

    async def remove_service(self, ref: str) -> None:
        service = await self.get_service(ref)
        del self.services[service.id]
        self.tasks = {task.id: task for task in self.tasks.values() if task.service_id != service.id}

    async def list_tasks(self, filters: Filters) -> list[Task]:
        self._answer()
        tests: dict[str, Callable[[Task, str], bool]] = {
            "id": lambda task, value: task.id.startswith(value),
            "name": lambda task, value: f"{task.service_name}.{task.slot}".startswith(value),
            "service": lambda task, value: task.service_id == value,
            "node": lambda task, value: task.node_id == value,
            "desired-state": lambda task, value: task.desired_state.name.lower() == value,
            "_up-to-date": lambda task, value: task.spec_version == self.services[task.service_id].spec_version,
        }
        return _select(self.tasks.values(), filters, tests)

    async def get_task(self, ref: str) -> Task:
        self._answer()
        return _find(self.tasks.values(), "task", ref, lambda task: task.id)

    async def logs(
        self, service_refs: Sequence[str], task_refs: Sequence[str], options: LogOptions
    ) -> AsyncIterator[LogLine]:
        self.log_options = options
        for line in self.lines:
            if line.service_id in service_refs or line.task_id in task_refs:
                yield line
        self._answer()

    def _converge(self, service: Service) -> None:
        """Exactly the tasks that the spec wants, all of its version and running."""
        self.tasks = {task.id: task for task in self.tasks.values() if task.service_id != service.id}
        nodes = list(self.nodes)
        everywhere = service.spec.mode is ServiceMode.GLOBAL
        replicas = 1 if service.spec.replicas is None else service.spec.replicas
        for position in range(len(nodes) if everywhere else replicas):
            task = Task(
                id=self.new_id("t"),
                meta=self._meta(),
                service_id=service.id,
                service_name=service.spec.name,
                slot=0 if everywhere else position + 1,
                node_id=nodes[position % len(nodes)],
                spec=service.spec.task,
                spec_version=service.spec_version,
                status=TaskStatus(self.now, TaskState.RUNNING, "started", container=ContainerStatus("c" * 64, 4711)),
            )
            self.tasks[task.id] = task

    def _of(self, service: Service) -> list[Task]:
        return [task for task in self.tasks.values() if task.service_id == service.id]

    def _rotate(self, token: str) -> str:
        return token[: -len(self.cluster.id)] + self.new_id("r")

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error

    def _meta(self) -> Meta:
        return Meta(next(self._index), self.now, self.now)

    def _touch(self, meta: Meta) -> Meta:
        return replace(meta, version=next(self._index), updated_at=self.now)

    def _check(self, meta: Meta, version: int) -> None:
        self._answer()
        if meta.version != version:
            raise OutOfSequence


def _endpoint(spec: ServiceSpec) -> Endpoint:
    return Endpoint(spec.endpoint.ports if spec.endpoint else ())


def _pairs(labels) -> set[str]:
    return set(labels) | {f"{key}={value}" for key, value in labels.items()}


def _select(objects, filters: Filters, tests):
    unknown = set(filters) - set(tests)
    if unknown:
        raise InvalidArgument(f"invalid filter {unknown.pop()!r}")
    return [
        item
        for item in objects
        if all(any(tests[key](item, value) for value in values) for key, values in filters.items())
    ]


def _find(objects, noun: str, ref: str, name):
    by_id = [item for item in objects if item.id.startswith(ref)]
    found = [item for item in objects if name(item) == ref] or by_id
    if not found:
        raise NotFound(f"{noun} {ref} not found")
    if len(found) > 1:
        raise InvalidArgument(f"{noun} {ref} is ambiguous ({len(found)} matches found)")
    return found[0]
