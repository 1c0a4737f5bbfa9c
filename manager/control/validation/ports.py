"""Published ports."""

from core.errors import InvalidArgument
from core.model import EndpointMode, EndpointSpec, PortConfig, Protocol, PublishMode

_LAST_PORT = 65_535


def validate_endpoint(endpoint: EndpointSpec) -> None:
    """Raises InvalidArgument."""
    published: set[tuple[Protocol, int]] = set()
    for port in endpoint.ports:
        _validate_port(port)
        if endpoint.mode is EndpointMode.DNSRR and port.publish_mode is PublishMode.INGRESS:
            raise InvalidArgument("EndpointSpec: port published with ingress mode can't be used with dnsrr mode")
        key = (port.protocol, port.published_port)
        if port.published_port and key in published:
            raise InvalidArgument(
                f"EndpointSpec: duplicate published ports provided: {port.published_port}/{port.protocol.name.lower()}"
            )
        published.add(key)
    if endpoint.mode is EndpointMode.DNSRR:
        raise InvalidArgument("endpoint mode dnsrr needs overlay networks, which are not there yet: leave it out")


def _validate_port(port: PortConfig) -> None:
    if not 1 <= port.target_port <= _LAST_PORT:
        raise InvalidArgument(f"EndpointSpec: target port {port.target_port} must be from 1 to {_LAST_PORT}")
    if not 0 <= port.published_port <= _LAST_PORT:
        raise InvalidArgument(f"EndpointSpec: published port {port.published_port} must be from 1 to {_LAST_PORT}")
    if port.protocol is not Protocol.TCP:
        protocol = port.protocol.name.lower()
        raise InvalidArgument(f"{protocol} ports are not there yet: publish {port.target_port} as tcp, or not at all")
