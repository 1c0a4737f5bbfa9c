"""The lab: hosts by name, on disk under one folder, so that any later command finds them again."""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from pyswarm.dev import image
from pyswarm.dev.cgroups import HostCgroup
from pyswarm.dev.host import Host
from pyswarm.dev.network import Switch
from pyswarm.dev.shell import LabError

_SUBNET = IPv4Network("10.213.77.0/24")
_REQUIRED = {
    "dockerd": "docker.io",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "docker": "docker.io or docker-cli",
}


@dataclass(frozen=True)
class LabConfig:
    """What tells one lab from another on the same machine. From PYSWARM_DEV_NAME, _ROOT and _SUBNET."""

    name: str = "psdev"
    root: Path = Path("/var/lib/pyswarm-dev")
    subnet: IPv4Network = _SUBNET

    @classmethod
    def from_environment(cls) -> "LabConfig":
        default = cls()
        name = os.environ.get("PYSWARM_DEV_NAME", default.name)
        if not (name.isalnum() and name.isascii() and len(name) <= 8):
            raise LabError(f"PYSWARM_DEV_NAME is {name!r}: use up to 8 letters and digits")
        subnet = os.environ.get("PYSWARM_DEV_SUBNET", str(default.subnet))
        try:
            network = IPv4Network(subnet)
        except ValueError:
            network = None
        if network is None or network.num_addresses < default.subnet.num_addresses:
            raise LabError(f"PYSWARM_DEV_SUBNET is {subnet!r}: use a network like {default.subnet}, or a larger one")
        return cls(name=name, root=Path(os.environ.get("PYSWARM_DEV_ROOT", default.root)), subnet=network)


class Lab:
    """All hosts of one machine. Raises LabError when not root, or when a tool it needs is missing."""

    def __init__(self, config: LabConfig | None = None) -> None:
        if os.geteuid() != 0:
            raise LabError("hosts on this machine need namespaces and an engine each: run this as root")
        self.config = config or LabConfig.from_environment()
        self._switch = Switch(self.config.name, self.config.subnet)

    @property
    def hosts(self) -> list[Host]:
        """In the order in which they were made."""
        try:
            rows = json.loads(self._inventory.read_text())
        except FileNotFoundError:
            return []
        return [self._host(name, address) for name, address in rows]

    def host(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts) or "none; `pyswarm dev up` makes some"
        raise LabError(f"there is no host {name!r}; there are: {known}")

    def up(self, managers: int = 3, workers: int = 2, report: Callable[[str], None] = lambda line: None) -> list[Host]:
        """Makes hosts m1.. and w1.. (or powers on those that are there), each with its engine and a small image."""
        missing = sorted({package for tool, package in _REQUIRED.items() if shutil.which(tool) is None})
        if missing:
            raise LabError(f"these hosts need what is not installed: apt-get install {' '.join(missing)}")
        names = [f"m{i + 1}" for i in range(managers)] + [f"w{i + 1}" for i in range(workers)]
        if self.hosts and [host.name for host in self.hosts] != names:
            raise LabError("there are other hosts already; `pyswarm dev down` removes them")
        self.config.root.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._inventory.write_text(json.dumps([(n, str(self.config.subnet[11 + i])) for i, n in enumerate(names)]))
        self._switch.up()
        hosts = self.hosts
        for host in hosts:
            report(f"starting {host.name} at {host.address}")
            host.boot()
        saved = image.saved_by_engine()
        report(f"loading {image.IMAGE}" + ("" if saved else ", built from busybox-static,") + " into every engine")
        for host in hosts:
            host.wait_for_engine()
            if host.run("docker", "image", "inspect", image.IMAGE, check=False).returncode:
                host.load_image(saved)
        return hosts

    def down(self) -> None:
        """Removes every host with all it holds. Safe to repeat, and after an `up` that was interrupted.

        If one cannot be removed, the others are all the same, and it is there to be tried again.
        """
        with ExitStack() as all_of_them:
            for host in self.hosts:
                all_of_them.callback(host.destroy)
        self._switch.down()
        shutil.rmtree(self.config.root, ignore_errors=True)

    def _host(self, name: str, address: str) -> Host:
        return Host(self.config.root / name, HostCgroup(self.config.name, name), self._switch, name, address)

    @property
    def _inventory(self) -> Path:
        return self.config.root / "hosts.json"
