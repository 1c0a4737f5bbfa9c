"""Control groups: `<lab>/<host>/system` for a host's own processes, `<lab>/<host>/containers` for its engine's."""

import os
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_V1_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd")


class HostCgroup:
    """The groups of one host, in every hierarchy of cgroup v1 or in the one of v2 (v2 is not verified)."""

    def __init__(self, lab: str, host: str) -> None:
        self._path = f"{lab}/{host}"
        self._v2 = (_ROOT / "cgroup.controllers").exists()
        self._hierarchies = [_ROOT] if self._v2 else [_ROOT / c for c in _V1_CONTROLLERS if (_ROOT / c).is_dir()]

    @property
    def engine_parent(self) -> str:
        """What the engine's `--cgroup-parent` takes."""
        return f"/{self._path}/containers"

    def create(self) -> None:
        for hierarchy in self._hierarchies:
            group = hierarchy
            for part in (*self._path.split("/"), "system"):
                if self._v2:
                    self._delegate(group)
                group = group / part
                group.mkdir(exist_ok=True)
                if hierarchy.name == "cpuset" and not self._v2:
                    self._inherit_cpus(group)

    def members(self) -> list[Path]:
        """The files to write a process id to, so that it belongs to the host."""
        return [hierarchy / self._path / "system" / "cgroup.procs" for hierarchy in self._hierarchies]

    def freeze(self) -> None:
        """Stops every process of the host where it stands, as a hung machine does."""
        self._set_frozen(True)

    def thaw(self) -> None:
        self._set_frozen(False)

    def remove(self) -> None:
        """Removes the host's groups; its processes must be gone. An engine makes some in v2's hierarchy beside v1's."""
        for hierarchy in (*self._hierarchies, _ROOT / "unified"):
            top = hierarchy / self._path
            for folder, _, _ in os.walk(top, topdown=False):
                remove_group(Path(folder))
            lab = top.parent
            if lab.is_dir() and not any(entry.is_dir() for entry in lab.iterdir()):
                remove_group(lab)

    def _set_frozen(self, frozen: bool) -> None:
        if self._v2:
            (_ROOT / self._path / "cgroup.freeze").write_text("1" if frozen else "0")
        else:
            (_ROOT / "freezer" / self._path / "freezer.state").write_text("FROZEN" if frozen else "THAWED")

    @staticmethod
    def _inherit_cpus(group: Path) -> None:
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if not (group / setting).read_text().strip():
                (group / setting).write_text((group.parent / setting).read_text())

    @staticmethod
    def _delegate(group: Path) -> None:
        """In v2 a controller must be handed down by each parent before a child can use it."""
        available = (group / "cgroup.controllers").read_text().split()
        wanted = [name for name in ("cpu", "memory", "pids", "cpuset", "io") if name in available]
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))


def remove_group(group: Path, seconds: float = 30.0) -> None:
    """The kernel keeps a group busy until its last process is gone wholly: a moment, or longer while disks are busy."""
    end = time.monotonic() + seconds
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return
