"""Every published port of the cluster and the tasks that answer it, kept up to date task by task. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.model import (
    Backend,
    IngressState,
    Node,
    NodeState,
    PortConfig,
    PublishedPort,
    PublishMode,
    Service,
    Task,
    TaskState,
)
from manager.store import Event, EventKind, View


@dataclass(frozen=True, slots=True)
class _Answering:
    """What others need to know of a task that answers."""

    node_id: str
    node_addr: str
    address: str
    ports: tuple[PortConfig, ...]
    """Of the task: in an update of the ports they may differ from what its service publishes."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit made of the ingress state."""

    is_new: bool = False
    """There is a new version."""
    stopping: tuple[str, ...] = ()
    """Tasks that are no backends any more and shall stop."""


class IngressTable:
    """Versions are the log's indexes: they grow, also from one leader to the next."""

    def __init__(self, view: View, version: int) -> None:
        self.version = version
        self._nodes = {node.id for node in view.nodes()}
        self._published: dict[str, tuple[PortConfig, ...]] = {}
        """By service."""
        self._answering: dict[str, dict[str, _Answering]] = {}
        """By service and task."""
        self._ports: dict[str, tuple[PublishedPort, ...]] = {}
        """By service; made when they are asked for."""
        for service in view.services():
            self._publish(service)
        for task in view.tasks():
            self._look_at(task, view)

    def observe(self, view: View, events: Iterable[Event], version: int) -> Change:
        """`view` is the state after `events`, which the log has at `version`."""
        is_new = False
        stopping = []
        for event in events:
            item = event.object
            deleted = event.kind is EventKind.DELETE
            if isinstance(item, Service):
                is_new = (self._withdraw(item) if deleted else self._publish(item)) or is_new
            elif isinstance(item, Node):
                is_new = self._observe_node(event, item, view) or is_new
            elif isinstance(item, Task):
                answered = self._answers(item)
                is_new = (self._drop(item) if deleted else self._look_at(item, view)) or is_new
                if answered and not self._answers(item) and item.desired_state >= TaskState.SHUTDOWN:
                    stopping.append(item.id)
        if is_new:
            self.version = version
        return Change(is_new, tuple(stopping))

    def state(self) -> IngressState:
        ports = [port for service_id in sorted(self._published) for port in self._ports_of(service_id)]
        return IngressState(self.version, tuple(ports), tuple(sorted(self._nodes)))

    def publishes(self, port: int) -> bool:
        return any(port == each.published_port for ports in self._published.values() for each in ports)

    def _observe_node(self, event: Event, node: Node, view: View) -> bool:
        is_new = event.kind is not EventKind.UPDATE
        if event.kind is EventKind.DELETE:
            self._nodes.discard(node.id)
        else:
            self._nodes.add(node.id)
        if is_new or (isinstance(event.old, Node) and _reach(event.old) != _reach(node)):
            for task in view.tasks_of_node(node.id):
                is_new = self._look_at(task, view) or is_new
        return is_new

    def _publish(self, service: Service) -> bool:
        """Whether the service's ports changed."""
        ports = tuple(port for port in service.endpoint.ports if port.publish_mode is PublishMode.INGRESS)
        if ports == self._published.get(service.id, ()):
            return False
        self._published[service.id] = ports
        self._ports.pop(service.id, None)
        return True

    def _withdraw(self, service: Service) -> bool:
        self._ports.pop(service.id, None)
        return bool(self._published.pop(service.id, ()))

    def _answers(self, task: Task) -> bool:
        return task.id in self._answering.get(task.service_id, {})

    def _look_at(self, task: Task, view: View) -> bool:
        """Whether what others need to know of the task changed."""
        found = _answering(task, view)
        if found is None:
            return self._drop(task)
        tasks = self._answering.setdefault(task.service_id, {})
        if tasks.get(task.id) == found:
            return False
        tasks[task.id] = found
        self._ports.pop(task.service_id, None)
        return True

    def _drop(self, task: Task) -> bool:
        tasks = self._answering.get(task.service_id, {})
        if tasks.pop(task.id, None) is None:
            return False
        if not tasks:
            del self._answering[task.service_id]
        self._ports.pop(task.service_id, None)
        return True

    def _ports_of(self, service_id: str) -> tuple[PublishedPort, ...]:
        if service_id not in self._ports:
            tasks = sorted(self._answering.get(service_id, {}).items())
            self._ports[service_id] = tuple(
                _published_port(service_id, port, tasks) for port in self._published[service_id]
            )
        return self._ports[service_id]


def _published_port(service_id: str, port: PortConfig, tasks: list[tuple[str, _Answering]]) -> PublishedPort:
    backends = [
        Backend(task_id, task.node_id, task.node_addr, task.address, own.target_port)
        for task_id, task in tasks
        for own in task.ports
        if (own.protocol, own.published_port) == (port.protocol, port.published_port)
    ]
    return PublishedPort(service_id, port.protocol, port.published_port, tuple(backends))


def _answering(task: Task, view: View) -> _Answering | None:
    """None unless the task runs, shall run, has an address, and is on a node that is not down."""
    ports = tuple(port for port in task.ports if port.publish_mode is PublishMode.INGRESS)
    runs = task.status.state is TaskState.RUNNING and task.desired_state < TaskState.SHUTDOWN
    container = task.status.container
    if not (ports and runs and container is not None and container.address):
        return None
    node = view.node(task.node_id)
    if node is None or node.status.state is NodeState.DOWN:
        return None
    return _Answering(node.id, node.status.addr, container.address, ports)


def _reach(node: Node) -> tuple[str, bool]:
    return node.status.addr, node.status.state is NodeState.DOWN
