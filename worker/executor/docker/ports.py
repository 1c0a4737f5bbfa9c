"""Ports that the engine itself publishes: those of host mode. Pure."""

from collections.abc import Mapping
from typing import Any

from core.model import PortConfig, Protocol, PublishMode, Task


def host_ports(task: Task) -> list[PortConfig]:
    return [port for port in task.ports if port.publish_mode == PublishMode.HOST]


def port_key(port: PortConfig) -> str:
    return f"{port.target_port}/{Protocol(port.protocol).name.lower()}"


def port_bindings(ports: list[PortConfig]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        host_port = str(port.published_port) if port.published_port else ""
        bindings.setdefault(port_key(port), []).append({"HostPort": host_port})
    return bindings


def published_ports(task: Task, bindings: Mapping[str, Any] | None) -> tuple[PortConfig, ...]:
    """The host-mode ports of `task` as the engine published them; `bindings` is its NetworkSettings.Ports."""
    found = []
    for port in host_ports(task):
        for binding in (bindings or {}).get(port_key(port)) or ():
            published = PortConfig(
                name=port.name,
                protocol=port.protocol,
                target_port=port.target_port,
                published_port=int(binding["HostPort"]),
                publish_mode=PublishMode.HOST,
            )
            if port.published_port in (0, published.published_port) and published not in found:
                found.append(published)
    return tuple(found)
