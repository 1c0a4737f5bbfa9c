"""A real Docker Engine of a test's own: in its own process, network and mount namespaces, so that nothing of it is left
and nothing of the machine's own engine is touched. Needs root, dockerd and busybox."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pyswarm.dev.cgroups import remove_group
from pyswarm.dev.image import built_from_busybox
from tests.support.waiting import wait_for

_INIT = """
ip link set lo up
mount -t tmpfs tmpfs /run
while :; do
    [ -e "$DIR/stopped" ] || {
        rm -f /run/docker.pid
        dockerd --data-root "$DIR/data" --exec-root /run/docker --pidfile /run/docker.pid -H "unix://$DIR/docker.sock" \
            --cgroup-parent "/$NAME" --shutdown-timeout 1 --log-level warn
    }
    sleep 0.1
done
"""


class PrivateEngine:
    """`image` is in it; it can be stopped, killed and frozen like a real one."""

    image = "busybox:latest"

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pyswarm-engine-"))
        self.socket = self.directory / "docker.sock"
        self.url = f"unix://{self.socket}"
        self._flag = self.directory / "stopped"
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        environment |= {"DIR": str(self.directory), "NAME": self.directory.name}
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", _INIT],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait()
        self.request("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", built_from_busybox(), "x-tar")

    def wait(self) -> None:
        """Until it answers."""
        wait_for(f"the engine of {self.directory} answers", self._answers)

    def stop(self, signal_number: int = signal.SIGKILL) -> None:
        """Without `start` it stays away."""
        self._flag.touch()
        daemon = self._daemon()
        daemon.send_signal(signal_number)
        daemon.wait()

    def start(self) -> None:
        self._flag.unlink(missing_ok=True)
        self.wait()

    def freeze(self) -> None:
        self._daemon().suspend()

    def thaw(self) -> None:
        self._daemon().resume()

    def containers(self, **filters: list[str]) -> list[dict[str, Any]]:
        """All, also stopped ones."""
        found: list[dict[str, Any]] = self.request("GET", f"/containers/json?all=1&filters={json.dumps(filters)}")
        return found

    def request(self, method: str, path: str, body: bytes = b"", kind: str = "json") -> Any:
        data = self.ask(method, path, body, kind)
        return json.loads(data) if data else None

    def ask(
        self, method: str, path: str, body: bytes = b"", kind: str = "json", headers: dict[str, str] | None = None
    ) -> bytes:
        """The bytes of the answer, which may be a stream."""
        connection = _UnixConnection(self.socket)
        headers = {"Content-Type": f"application/{kind}", **(headers or {})}
        try:
            connection.request(method, path.replace(" ", ""), body, headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        assert answer.status < 400, data
        return data

    def run(self, *command: str) -> "subprocess.Popen[bytes]":
        """A program beside the engine: in its network."""
        return subprocess.Popen(["nsenter", "--net", "--target", str(self._process.pid), *command])

    def close(self) -> None:
        for child in psutil.Process(self._process.pid).children():
            child.kill()
        self._process.wait()
        # Its groups lie at the top of each hierarchy; those of other tests, deeper down, come and go.
        for place in ("", "*/"):
            for parent in Path("/sys/fs/cgroup").glob(f"{place}{self.directory.name}"):
                for folder, _, _ in os.walk(parent, topdown=False):
                    remove_group(Path(folder))
        shutil.rmtree(self.directory)

    def _daemon(self) -> psutil.Process:
        children = psutil.Process(self._process.pid).children(recursive=True)
        return next(child for child in children if child.name() == "dockerd")

    def _answers(self) -> bool:
        try:
            self.request("GET", "/info")
        except OSError:
            return False
        return True


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    private = PrivateEngine()
    yield private
    private.close()
