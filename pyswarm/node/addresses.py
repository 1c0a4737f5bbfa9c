"""Which address a node gives to others, and where it listens."""

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from core.errors import InvalidArgument
from core.ports import JOINING_OFFSET, MANAGER_PORT

_ENGINE_INTERFACES = ("docker", "br-", "veth", "lo")


@dataclass(frozen=True)
class HostPort:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_host_port(text: str, default_port: int = MANAGER_PORT) -> HostPort:
    """`host`, `host:port`, `[v6]` or `[v6]:port`. Raises InvalidArgument, naming what is wrong."""
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidArgument(f"invalid address {text!r}: write it like [2001:db8::1]:2377")
    elif text.count(":") == 1:
        host, port = text.split(":")
    if not host or any(c.isspace() or c == "/" for c in host):
        raise InvalidArgument(f"invalid address {text!r}: write it like 192.0.2.1:{default_port}")
    if not port:
        return HostPort(host, default_port)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InvalidArgument(f"invalid port {port!r} in {text!r}: it is a number from 1 to 65535")
    return HostPort(host, int(port))


def bootstrap_address(managers: str) -> str:
    """Where the manager that serves `managers` (host:port) issues certificates to new nodes."""
    address = parse_host_port(managers)
    return str(HostPort(address.host, address.port + JOINING_OFFSET))


def interface_addresses() -> dict[str, list[str]]:
    """The machine's addresses, by interface; link-local ones are left out, IPv4 comes first."""
    found: dict[str, list[str]] = {}
    for interface, entries in psutil.net_if_addrs().items():
        usable = [
            entry.address
            for entry in sorted(entries, key=lambda entry: entry.family)
            if entry.family in (socket.AF_INET, socket.AF_INET6)
            and not ipaddress.ip_address(entry.address.split("%")[0]).is_link_local
        ]
        if usable:
            found[interface] = usable
    return found


def advertised(wanted: str, interfaces: Mapping[str, Sequence[str]], default_port: int = MANAGER_PORT) -> HostPort:
    """The address to give to others: `wanted` is an address, an interface, either with a port, or empty to choose.

    Raises InvalidArgument if it cannot be chosen (several interfaces) or cannot be one (0.0.0.0, a host name).
    """
    if not wanted:
        return HostPort(_only_address(interfaces), default_port)
    given = parse_host_port(wanted, default_port)
    if given.host in interfaces:
        return HostPort(interfaces[given.host][0], given.port)
    try:
        address = ipaddress.ip_address(given.host)
    except ValueError:
        known = ", ".join(sorted(interfaces))
        raise InvalidArgument(
            f"cannot advertise {given.host!r}: it is neither an IP address nor an interface of this machine ({known})"
        ) from None
    if address.is_unspecified or address.is_multicast:
        raise InvalidArgument(f"cannot advertise {given.host}: other nodes must be able to connect to it")
    return given


def towards(remote: str) -> str:
    """The address of this machine from which it reaches `remote` (host:port); empty if it cannot be told."""
    target = parse_host_port(remote)
    try:
        family, _, _, _, address = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            host: str = probe.getsockname()[0]
            return host
    except OSError:
        return ""


def _only_address(interfaces: Mapping[str, Sequence[str]]) -> str:
    own = {name: addresses for name, addresses in interfaces.items() if not name.startswith(_ENGINE_INTERFACES)}
    if not own:
        raise InvalidArgument("this machine has no address that others could reach; give one with --advertise-addr")
    if len(own) > 1:
        found = " and ".join(f"{addresses[0]} on {name}" for name, addresses in sorted(own.items()))
        raise InvalidArgument(
            "could not choose an IP address to advertise since this system has multiple addresses on different "
            f"interfaces ({found}) - specify one with --advertise-addr"
        )
    return next(iter(own.values()))[0]
