"""Published ports: as asked for (EndpointSpec) and as allocated (Endpoint)."""

from core.model import Endpoint, EndpointMode, EndpointSpec, PortConfig, Protocol, PublishMode
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, some
from pyswarm.engineapi.wire.names import ENDPOINT_MODES, PROTOCOLS, PUBLISH_MODES, word

_MAX_PORT = 65535


def read_endpoint_spec(fields: Fields | None) -> EndpointSpec | None:
    if fields is None:
        return None
    return EndpointSpec(
        mode=fields.choice("Mode", ENDPOINT_MODES, EndpointMode.VIP),
        ports=tuple(_read_port(port) for port in fields.children("Ports")),
    )


def show_endpoint_spec(spec: EndpointSpec) -> Json:
    return {"Mode": word(spec.mode), **some(Ports=show_ports(spec.ports))}


def show_endpoint(endpoint: Endpoint, spec: EndpointSpec | None) -> Json:
    """A service without ports has an empty endpoint, whatever its spec says."""
    if not endpoint.ports or spec is None:
        return {"Spec": {}}
    return {"Spec": show_endpoint_spec(spec), "Ports": show_ports(endpoint.ports)}


def show_ports(ports: tuple[PortConfig, ...]) -> list[Json]:
    return [
        {
            **some(Name=port.name),
            "Protocol": word(port.protocol),
            **some(TargetPort=port.target_port, PublishedPort=port.published_port),
            "PublishMode": word(port.publish_mode),
        }
        for port in ports
    ]


def _read_port(fields: Fields) -> PortConfig:
    return PortConfig(
        name=fields.text("Name"),
        protocol=fields.choice("Protocol", PROTOCOLS, Protocol.TCP),
        target_port=fields.integer("TargetPort", high=_MAX_PORT),
        published_port=fields.integer("PublishedPort", high=_MAX_PORT),
        publish_mode=fields.choice("PublishMode", PUBLISH_MODES, PublishMode.INGRESS),
    )
