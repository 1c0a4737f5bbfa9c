"""One host: made, powered on and off, cut, frozen, and spoken to."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pyswarm.dev import image
from pyswarm.dev.cgroups import HostCgroup
from pyswarm.dev.init import Boot
from pyswarm.dev.network import Direction, Switch
from pyswarm.dev.shell import LabError

_BOOT_SECONDS = 60.0
_START_DAEMON = "from pyswarm.node.launch import detached; detached('/run/pyswarm/pyswarm.sock')"
_START_ENGINE = (
    "import pathlib, sys; from pyswarm.dev.init import start_engine; "
    "start_engine(pathlib.Path(sys.argv[1]), sys.argv[2])"
)


class Host:
    """Exists on disk from the first `boot` to `destroy`; is up between `boot` and `poweroff`."""

    def __init__(self, disk: Path, cgroup: HostCgroup, switch: Switch, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.disk = disk
        self.cgroup = cgroup
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

    def cut(self, direction: Direction = "both") -> None:
        self._up()
        self._switch.cut(self.name, direction)

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
