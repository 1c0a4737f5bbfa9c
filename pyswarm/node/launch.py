"""Starting the daemon for a command that found none. Imports nothing heavy: it is part of the command's start-up."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from core.errors import FailedPrecondition, Unavailable
from pyswarm.cli.host import DEFAULT_SOCKET

UNIT = "pyswarm.service"
LOG = Path("/var/log/pyswarm.log")
_SECONDS = 30.0


def start_daemon(socket_path: str, is_up: Callable[[], bool]) -> None:
    """Starts the daemon and returns once `is_up`: through systemd where its unit is installed, else detached.

    Raises FailedPrecondition if only root may do that; Unavailable, with where to look, if it does not answer within
    30 s.
    """
    where = f"see {LOG}"
    daemon: subprocess.Popen[bytes] | None = None
    if socket_path == DEFAULT_SOCKET and _unit_installed():
        subprocess.run(["systemctl", "start", UNIT], check=False)
        where = f"see `journalctl -u {UNIT}`"
    else:
        try:
            daemon = detached(socket_path)
        except PermissionError as error:
            raise FailedPrecondition(
                f"no daemon answers on {socket_path}, and one cannot be started ({error.strerror}: {error.filename}): "
                "run this as root, or have root start it"
            ) from None
    end = time.monotonic() + _SECONDS
    while not is_up():
        if daemon is not None and daemon.poll() is not None:
            raise Unavailable(f"the daemon ended as it started ({daemon.returncode}); {where}")
        if time.monotonic() > end:
            raise Unavailable(f"the daemon was started but does not answer on {socket_path}; {where}")
        time.sleep(0.05)


def _unit_installed() -> bool:
    if not Path("/run/systemd/system").is_dir() or shutil.which("systemctl") is None:
        return False
    return subprocess.run(["systemctl", "cat", UNIT], capture_output=True).returncode == 0


def detached(socket_path: str) -> "subprocess.Popen[bytes]":
    """A daemon in a session of its own, which outlives the command that started it."""
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "pyswarm", "daemon", "--socket", socket_path],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(log)
