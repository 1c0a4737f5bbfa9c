"""From the cluster's published ports to the plan of one node. Pure: a second data plane would begin here as well."""

from core.model import Backend, IngressState, Protocol
from ingress.routes import Backend as Route
from ingress.routes import ExportKey, Local, Plan, Remote


def plan(state: IngressState, node_id: str) -> Plan:
    """What the data plane of `node_id` does for `state`.

    A backend that cannot be reached yet (its container or its node has no address) is left out; a port that two
    services claim gets the backends of both.
    """
    listeners: dict[int, tuple[Route, ...]] = {}
    exports: dict[ExportKey, str] = {}
    for port in state.ports:
        if port.protocol is not Protocol.TCP:
            continue
        routes = [route for backend in port.backends if (route := _route(backend, node_id)) is not None]
        exports.update({(route.task_id, route.port): route.address for route in routes if isinstance(route, Local)})
        listeners[port.published_port] = (*listeners.get(port.published_port, ()), *routes)
    return Plan(state.version, listeners, exports, frozenset(state.nodes))


def _route(backend: Backend, node_id: str) -> Route | None:
    if backend.node_id == node_id:
        if not backend.address:
            return None
        return Local(backend.task_id, backend.target_port, backend.address)
    if not backend.node_addr:
        return None
    return Remote(backend.task_id, backend.target_port, backend.node_id, backend.node_addr)
