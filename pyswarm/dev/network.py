"""The hosts' network: a bridge in a namespace of its own, a cable to each host and one to the machine itself."""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal

from pyswarm.dev.shell import run

_BRIDGE = "br0"

Direction = Literal["both", "in", "out"]


class Switch:
    """One layer-2 segment. `name` begins every name it makes; `subnet` holds its addresses, .1 being the machine's."""

    def __init__(self, name: str, subnet: IPv4Network) -> None:
        self._name = name
        self._subnet = subnet
        self._namespace = f"{name}-switch"
        self._uplink = f"{name[:10]}-up"

    def namespace_of(self, host: str) -> str:
        return f"{self._name}-{host}"

    def up(self) -> None:
        """Builds the switch if it is not there, with a cable to the machine, so that its user can reach the hosts."""
        if self._exists(self._namespace):
            return
        run("ip", "netns", "add", self._namespace)
        self._switch("link", "set", "lo", "up")
        self._switch("link", "add", _BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0")
        self._switch("link", "set", _BRIDGE, "up")
        run("ip", "link", "add", self._uplink, "type", "veth", "peer", "name", "uplink", "netns", self._namespace)
        self._switch("link", "set", "uplink", "master", _BRIDGE, "up")
        run("ip", "addr", "add", f"{self._subnet[1]}/{self._subnet.prefixlen}", "dev", self._uplink)
        run("ip", "link", "set", self._uplink, "up")

    def attach(self, host: str, address: str) -> str:
        """A new namespace for `host` with `address` on eth0, in place of any older one. Returns its name."""
        namespace = self.namespace_of(host)
        self.detach(host)
        run("ip", "netns", "add", namespace)
        self._switch("link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        self._switch("link", "set", host, "master", _BRIDGE, "up")
        for command in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{address}/{self._subnet.prefixlen}", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            run("ip", "-n", namespace, *command)
        return namespace

    def detach(self, host: str) -> None:
        self._switch("link", "del", host, check=False)
        if self._exists(self.namespace_of(host)):
            run("ip", "netns", "del", self.namespace_of(host))

    def cut(self, host: str, direction: Direction = "both") -> None:
        """Pulls the cable: nothing goes in or out, or nothing one way only, and nobody is told."""
        match direction:
            case "both":
                self._switch("link", "set", host, "down")
            case "in":
                run("tc", "-n", self._namespace, "qdisc", "replace", "dev", host, "root", "blackhole")
            case "out":
                run("tc", "-n", self.namespace_of(host), "qdisc", "replace", "dev", "eth0", "root", "blackhole")

    def mend(self, host: str) -> None:
        self._switch("link", "set", host, "up")
        run("tc", "-n", self._namespace, "qdisc", "del", "dev", host, "root", check=False)
        run("tc", "-n", self.namespace_of(host), "qdisc", "del", "dev", "eth0", "root", check=False)

    def down(self) -> None:
        if self._exists(self._namespace):
            run("ip", "netns", "del", self._namespace)
        run("ip", "link", "del", self._uplink, check=False)

    def _exists(self, namespace: str) -> bool:
        return Path("/run/netns", namespace).exists()

    def _switch(self, *command: str, check: bool = True) -> None:
        run("ip", "-n", self._namespace, *command, check=check)
