"""Starting the daemon for a command that found none."""

import errno
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import FailedPrecondition, Unavailable
from pyswarm.cli.host import DEFAULT_SOCKET
from pyswarm.node import launch


@pytest.fixture
def ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A daemon that says why it cannot run, and where it says so."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho it cannot run; exit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(launch, "LOG", tmp_path / "log")
    return tmp_path / "log"


def test_who_may_not_start_a_daemon_is_told_who_may(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, *others: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(launch.os, "open", refuse)
    with pytest.raises(FailedPrecondition, match=r"Permission denied: /var/log/pyswarm.log\): run this as root"):
        launch.start_daemon("/some/socket", lambda: False)


def test_a_daemon_that_ends_is_told_with_where_to_look(ends_at_once: Path) -> None:
    with pytest.raises(Unavailable, match=rf"ended as it started \(3\); see {ends_at_once}"):
        launch.start_daemon("/some/socket", lambda: False)
    assert ends_at_once.read_text() == "it cannot run\n"
    assert stat.S_IMODE(ends_at_once.stat().st_mode) == 0o600


def test_a_daemon_that_never_answers_is_told(ends_at_once: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(sys.executable).write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(launch, "_SECONDS", 0.1)
    started: list[subprocess.Popen[bytes]] = []
    detached = launch.detached
    monkeypatch.setattr(launch, "detached", lambda path: started.append(detached(path)) or started[0])
    with pytest.raises(Unavailable, match=r"does not answer on /some/socket; see "):
        launch.start_daemon("/some/socket", lambda: False)
    started[0].kill()
    started[0].wait()


def test_the_unit_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(launch, "_unit_installed", lambda: True)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: ran.append(command))
    launch.start_daemon(DEFAULT_SOCKET, lambda: bool(ran))
    assert ran == [["systemctl", "start", "pyswarm.service"]]
