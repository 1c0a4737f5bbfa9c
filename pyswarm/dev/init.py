"""The first process of a host: what a small init system does, and nothing else.

Gives the host its own /run, /etc/docker and state folders, starts the Docker Engine and, if the host already belongs
to a cluster, the pyswarm daemon, as a real host does when it boots; then reaps orphans for ever. Killing it is power
loss: the kernel ends everything in its namespace.
"""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pyswarm.cli.host import DEFAULT_SOCKET
from pyswarm.dev.shell import run
from pyswarm.node.launch import LOG, detached
from pyswarm.node.state import DEFAULT_STATE_DIR, NODE_FILE

ENGINE_SOCKET = "/run/docker.sock"


@dataclass(frozen=True)
class Boot:
    """What the host's first process is told."""

    name: str
    disk: str
    cgroup_parent: str

    def dump(self) -> str:
        return json.dumps(asdict(self))


def main() -> None:
    boot = Boot(**json.loads(sys.argv[1]))
    disk = Path(boot.disk)
    socket.sethostname(boot.name)
    mount_own_folders(disk)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    start_engine(disk, boot.cgroup_parent)
    if belongs_to_cluster():
        detached(DEFAULT_SOCKET)
    (disk / "booted").touch()
    reap_for_ever()


def mount_own_folders(disk: Path) -> None:
    keep = disk / "cgroup"
    keep.mkdir(exist_ok=True)
    run("mount", "--rbind", "/sys/fs/cgroup", str(keep))
    run("mount", "-t", "sysfs", "sysfs", "/sys")
    run("mount", "--rbind", str(keep), "/sys/fs/cgroup")
    run("umount", "-l", str(keep))
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    Path("/run/lock").mkdir()
    for own, place in (
        ("etc-docker", "/etc/docker"),
        ("docker", "/var/lib/docker"),
        ("pyswarm", DEFAULT_STATE_DIR),
        ("log", LOG.parent),
    ):
        (disk / own).mkdir(mode=0o700, exist_ok=True)
        Path(place).mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", str(disk / own), str(place))


def start_engine(disk: Path, cgroup_parent: str) -> None:
    with (disk / "dockerd.log").open("ab") as log:
        subprocess.Popen(
            [
                "dockerd",
                "--host=unix://" + ENGINE_SOCKET,
                "--exec-opt=native.cgroupdriver=cgroupfs",
                "--cgroup-parent=" + cgroup_parent,
                "--log-level=warn",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def belongs_to_cluster() -> bool:
    return (DEFAULT_STATE_DIR / NODE_FILE).exists()


def reap_for_ever() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            # The engine itself has been killed; the host lives on, as a real one would.
            time.sleep(1)


if __name__ == "__main__":
    main()
