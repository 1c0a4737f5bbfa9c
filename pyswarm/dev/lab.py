"""The lab: hosts by name, on disk under one folder, so that any later command finds them again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from pyswarm.dev import image
from pyswarm.dev.cgroups import HostCgroup
from pyswarm.dev.init import ENGINE_SOCKET, Boot
from pyswarm.dev.network import Switch
from pyswarm.dev.shell import LabError

_BOOT_SECONDS = 60.0
_SUBNET = IPv4Network("10.213.77.0/24")
_START_DAEMON = "from pyswarm.node.launch import detached; detached('/run/pyswarm/pyswarm.sock')"
_START_ENGINE = (
    "import pathlib, sys; from pyswarm.dev.init import start_engine; "
    "start_engine(pathlib.Path(sys.argv[1]), sys.argv[2])"
)
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
        return cls(
            name=name,
            root=Path(os.environ.get("PYSWARM_DEV_ROOT", default.root)),
            subnet=IPv4Network(os.environ.get("PYSWARM_DEV_SUBNET", str(default.subnet))),
        )


class Host:
    """One host of a lab. Exists on disk from `create` to `destroy`, and is up between `boot` and `poweroff`."""

    def __init__(self, lab: LabConfig, switch: Switch, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.disk = lab.root / name
        self.cgroup = HostCgroup(lab.name, name)
        self._switch = switch

    @property
    def pid(self) -> int | None:
        """Of the host's first process, as the machine sees it; None while the host is off."""
        try:
            pid = int((self.disk / "pid").read_text())
            started = (self.disk / "started").read_text()
        except (FileNotFoundError, ValueError):
            return None
        return pid if _start_time(pid) == started else None

    def path(self, inside: str) -> Path:
        """Where the machine finds the host's file `inside`. Raises LabError while the host is off."""
        return Path(f"/proc/{self._up()}/root{inside}")

    def boot(self) -> None:
        """Powers the host on; returns once its first process has started what a boot starts. No-op when it is up."""
        if self.pid is not None:
            return
        self.disk.mkdir(parents=True, exist_ok=True)
        (self.disk / "booted").unlink(missing_ok=True)
        namespace = self._switch.attach(self.name, self.address)
        self.cgroup.create()
        boot = Boot(self.name, str(self.disk), self.cgroup.engine_parent)
        command = [
            *self._entering_cgroup(),
            *("nsenter", f"--net=/run/netns/{namespace}"),
            *("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *(sys.executable, "-m", "pyswarm.dev.init", boot.dump()),
        ]
        with (self.disk / "init.log").open("ab") as log:
            outer = subprocess.Popen(
                command,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _wait_for(
            lambda: (self.disk / "booted").exists() or outer.poll() is not None,
            f"{self.name} did not boot; see {self.disk / 'init.log'}",
        )
        if outer.poll() is not None:
            raise LabError(f"{self.name} did not boot: {_tail(self.disk / 'init.log')}")
        pid = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0])
        (self.disk / "started").write_text(_start_time(pid) or "")
        (self.disk / "pid").write_text(str(pid))

    def wait_for_engine(self) -> None:
        """Returns once the host's engine answers; raises LabError with the end of its log if it does not."""
        _wait_for(
            lambda: self.run("docker", "version", check=False).returncode == 0,
            f"the engine of {self.name} does not answer; see {self.disk / 'dockerd.log'}",
        )

    def poweroff(self) -> None:
        """Power loss: every process ends at once, nobody on the network is told. The disk is kept."""
        pid = self.pid
        if pid is None:
            return
        self.cut()
        self.thaw()
        os.kill(pid, signal.SIGKILL)
        _wait_for(lambda: self.pid is None, f"the processes of {self.name} do not end")
        (self.disk / "pid").unlink(missing_ok=True)

    def cut(self) -> None:
        self._up()
        self._switch.cut(self.name)

    def mend(self) -> None:
        self._up()
        self._switch.mend(self.name)

    def freeze(self) -> None:
        self._up()
        self.cgroup.freeze()

    def thaw(self) -> None:
        self._up()
        self.cgroup.thaw()

    def destroy(self) -> None:
        self.poweroff()
        self._switch.detach(self.name)
        self.cgroup.remove()
        shutil.rmtree(self.disk, ignore_errors=False)

    def command(self, *command: str) -> list[str]:
        """What the machine runs to run `command` inside the host, as a process of the host."""
        namespaces = ("nsenter", "-t", str(self._up()), "-m", "-u", "-i", "-n", "-p", "--wd=/root", "--")
        return [*self._entering_cgroup(), *namespaces, *command]

    def run(
        self, *command: str, check: bool = True, timeout: float = 60.0, input: bytes | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        """Runs `command` inside the host. Raises LabError if it fails and `check` is set, or takes too long (s)."""
        try:
            done = subprocess.run(
                self.command(*command), env=_environment(), input=input, capture_output=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name}: {' '.join(command)} took more than {timeout:g} s") from None
        if check and done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()[-800:]
            raise LabError(f"{self.name}: {' '.join(command)} failed ({done.returncode}): {said}")
        return done

    def call(self, *command: str) -> int:
        """Runs `command` inside the host on the caller's own terminal. Returns its exit code."""
        return subprocess.call(self.command(*command), env=_environment())

    def execute(self, command: Sequence[str]) -> None:
        """Becomes `command` inside the host; does not return."""
        arguments = self.command(*command)
        os.execvpe(arguments[0], arguments, _environment())  # noqa: S606

    def processes(self) -> dict[int, str]:
        """The host's processes outside containers: pid as the machine sees it -> command line."""
        inside = os.readlink(f"/proc/{self._up()}/ns/pid")
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.readlink(entry / "ns/pid") == inside:
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue  # it has ended meanwhile
        return found

    def start_engine(self) -> None:
        """Starts the host's engine again after it was killed."""
        self.run(sys.executable, "-c", _START_ENGINE, str(self.disk), self.cgroup.engine_parent)

    def start_daemon(self) -> None:
        """Starts the host's daemon again after it was killed, as an init system would."""
        self.run(sys.executable, "-c", _START_DAEMON)

    def load_image(self, saved: bytes | None) -> None:
        """Gives the engine the small image: as the machine's engine saved it, or built from busybox."""
        if saved is not None:
            self.run("docker", "load", input=saved)
        else:
            self.run("docker", "import", "--change", 'CMD ["sh"]', "-", image.IMAGE, input=image.built_from_busybox())

    def _up(self) -> int:
        pid = self.pid
        if pid is None:
            raise LabError(f"{self.name} is off; `pyswarm dev poweron {self.name}` starts it")
        return pid

    def _entering_cgroup(self) -> list[str]:
        script = 'for f in $0; do echo 0 > "$f"; done; exec "$@"'
        return ["sh", "-c", script, " ".join(str(path) for path in self.cgroup.members())]


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
        return [Host(self.config, self._switch, name, address) for name, address in rows]

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
        """Removes every host with all it holds. Safe to repeat, and after an `up` that was interrupted."""
        for host in self.hosts:
            host.destroy()
        self._switch.down()
        shutil.rmtree(self.config.root, ignore_errors=True)

    @property
    def _inventory(self) -> Path:
        return self.config.root / "hosts.json"


def _environment() -> dict[str, str]:
    """A host's own environment: the machine's proxies, sockets and settings stay outside."""
    here = str(Path(sys.executable).parent)
    keep = {key: os.environ[key] for key in ("TERM", "LANG", "LC_ALL") if key in os.environ}
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": f"{here}:{system}", "HOME": "/root", **keep}


def _start_time(pid: int) -> str | None:
    """Tells a process from a later one with the same number (field 22 of proc(5) stat); None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def _wait_for(condition: Callable[[], bool], complaint: str) -> None:
    end = time.monotonic() + _BOOT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise LabError(complaint)
        time.sleep(0.02)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-800:]


def engine_socket(host: Host) -> Path:
    """The host's Docker Engine, for a client on the machine."""
    return host.path(ENGINE_SOCKET)
