"""The demo and the hosts it stands on: run, run again, interrupted, and refused to those who are not root."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyswarm.dev import Lab, LabError
from tests.support.lab import NUMBER
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
NAME = f"psdem{NUMBER}"
DEMO = [sys.executable, "-m", "pyswarm.dev.demo"]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A lab of its own, taken down in the end."""
    own = {
        **os.environ,
        "PYSWARM_DEV_NAME": NAME,
        "PYSWARM_DEV_ROOT": str(tmp_path / "hosts"),
        "PYSWARM_DEV_SUBNET": f"10.214.{NUMBER}.0/24",
    }
    yield own
    subprocess.run([sys.executable, "-m", "pyswarm", "dev", "down"], env=own, check=True)


def left_over() -> list[str]:
    return [name for name in os.listdir("/run/netns") if name.startswith(f"{NAME}-")]


def test_the_demo_runs_and_runs_again(environment: dict[str, str]) -> None:
    for _ in range(2):
        done = subprocess.run(DEMO, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("answered with") == 5
        assert "to take it down" in done.stderr
    status = subprocess.run(
        [sys.executable, "-m", "pyswarm", "dev", "status"], env=environment, capture_output=True, text=True, check=True
    )
    assert status.stdout.count('"up": true') == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(environment: dict[str, str], number: signal.Signals) -> None:
    with subprocess.Popen(DEMO, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if "pyswarm init" in line:
                break
        demo.send_signal(number)
        said = demo.stderr.read()
        assert demo.wait() == 130, said
    assert "interrupted" in said
    wait_for("no network namespace left", lambda: not left_over())
    assert not Path(environment["PYSWARM_DEV_ROOT"]).exists()


def test_hosts_are_for_root_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="run this as root"):
        Lab()
