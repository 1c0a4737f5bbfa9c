"""Which tasks answer which published ports, and when a task that shall stop is out of every node's routes. Pure."""

from collections.abc import Iterable

from core.clock import MILLISECOND
from core.model import (
    Backend,
    IngressState,
    PublishedPort,
    PublishMode,
    Service,
    Task,
    TaskState,
)
from manager.store import Event, EventKind, View

GRACE = 20 * MILLISECOND
"""Between the last node's acknowledgement and the stop: for what was accepted just before it."""


class Routes:
    """The ingress state of the cluster, kept up to date service by service."""

    def __init__(self) -> None:
        self._ports: dict[str, tuple[PublishedPort, ...]] = {}
        self._left: dict[str, int] = {}
        """Tasks that were backends and shall stop, and the version from which they are none."""
        self.state = IngressState(version=1)

    def start(self, view: View, first_version: int) -> None:
        """Versions must grow from leader to leader: the log's index serves as the first."""
        self._left.clear()
        self._ports = {service.id: ports for service in view.services() if (ports := _ports_of(view, service))}
        self._publish(view, first_version)

    def observe(self, view: View, events: Iterable[Event]) -> bool:
        """Whether the events changed the state."""
        concerned: set[str] = set()
        nodes_changed = False
        for event in events:
            item = event.object
            if isinstance(item, Service):
                concerned.add(item.id)
            elif isinstance(item, Task):
                if item.service_id in self._ports or item.ports:
                    concerned.add(item.service_id)
                if event.kind is EventKind.DELETE:
                    self._left.pop(item.id, None)
            else:
                nodes_changed = True
        if nodes_changed:
            concerned |= set(self._ports)
        changed = False
        for service_id in concerned:
            changed = self._refresh(view, service_id) or changed
        if changed or (nodes_changed and _nodes(view) != self.state.nodes):
            self._publish(view, self.state.version + 1)
            return True
        return False

    def version_without(self, task: Task) -> int:
        """The version that a node must have acknowledged before `task` may stop; 0 if it never was a backend."""
        return self._left.get(task.id, 0)

    def _refresh(self, view: View, service_id: str) -> bool:
        service = view.service(service_id)
        before = self._ports.get(service_id, ())
        after = _ports_of(view, service) if service is not None else ()
        if after == before:
            return False
        kept = {backend.task_id for port in after for backend in port.backends}
        for backend in (backend for port in before for backend in port.backends):
            if backend.task_id not in kept:
                self._left[backend.task_id] = self.state.version + 1
        if after:
            self._ports[service_id] = after
        else:
            self._ports.pop(service_id, None)
        return True

    def _publish(self, view: View, version: int) -> None:
        ports = tuple(port for service_id in sorted(self._ports) for port in self._ports[service_id])
        self.state = IngressState(version=version, ports=ports, nodes=_nodes(view))


def _nodes(view: View) -> tuple[str, ...]:
    return tuple(sorted(node.id for node in view.nodes()))


def _ports_of(view: View, service: Service) -> tuple[PublishedPort, ...]:
    ingress = [port for port in service.endpoint.ports if port.publish_mode is PublishMode.INGRESS]
    if not ingress:
        return ()
    running = sorted((task for task in view.tasks_of_service(service.id) if _answers(task)), key=lambda task: task.id)
    return tuple(
        PublishedPort(
            service_id=service.id,
            protocol=port.protocol,
            published_port=port.published_port,
            backends=tuple(_backend(view, task, port.target_port) for task in running),
        )
        for port in ingress
    )


def _answers(task: Task) -> bool:
    container = task.status.container
    return (
        task.desired_state is TaskState.RUNNING
        and task.status.state is TaskState.RUNNING
        and container is not None
        and bool(container.address)
    )


def _backend(view: View, task: Task, target_port: int) -> Backend:
    node = view.node(task.node_id)
    container = task.status.container
    assert container is not None
    return Backend(
        task_id=task.id,
        node_id=task.node_id,
        node_addr=node.status.addr if node is not None else "",
        address=container.address,
        target_port=target_port,
    )
