"""A node whose member cannot run leaves nothing on its host either: no containers, no relay, no state."""

import asyncio
import errno
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from core.ids import new_id
from identity.credentials import Credentials
from identity.files import FILE_NAME, NodeKeys, save
from ingress import process
from ingress.control import Settings
from pyswarm.node import leaving, local
from pyswarm.node.config import DaemonConfig
from pyswarm.node.leaving import forget
from pyswarm.node.local import LocalNodeApi
from pyswarm.node.state import NODE_FILE, Membership, StateDir
from tests.support.certificates import Issuer
from tests.support.fake_engine import FakeEngine
from tests.support.ports import free_port
from worker.executor.docker import controller, tmpfs

UNLOCK_KEY = os.urandom(32)
CONTAINER = "c1"


class Host:
    """A node of a cluster before its daemon goes on, with a relay and one container that still run."""

    def __init__(self, state: StateDir, engine: FakeEngine, relay_pid: int) -> None:
        self.state = state
        self.engine = engine
        self.relay_pid = relay_pid
        self.credentials: Credentials = Issuer().credentials()
        self.node = LocalNodeApi(
            DaemonConfig(state.path, state.path / "socket", engine.url, "", "", "human", "info"), state
        )
        state.save(Membership("192.0.2.1", ""))
        save(state.certificates, NodeKeys(self.credentials.bundle), UNLOCK_KEY)
        engine.answers |= {
            "/version": {"ApiVersion": "1.44"},
            "/v1.44/containers/json": [{"Id": CONTAINER, "Labels": self.labels, "State": "running", "Status": "Up"}],
            f"/v1.44/containers/{CONTAINER}/stop": {},
            f"/v1.44/containers/{CONTAINER}": {},
        }

    @property
    def labels(self) -> dict[str, str]:
        identity = self.credentials.identity
        return {
            "io.pyswarm.cluster": identity.cluster_id,
            "io.pyswarm.node": identity.node_id,
            "io.pyswarm.task": "1" * 25,
        }

    def changes(self) -> list[str]:
        """What the engine was asked to do."""
        return [asked.partition("?")[0] for asked in self.engine.asked if not asked.startswith("GET")]

    def left(self) -> set[str]:
        return {entry.name for entry in self.state.path.iterdir()}

    async def until_locked(self) -> None:
        await self.node.resume()
        assert self.node.status().state == "locked"

    async def until_in_error(self) -> "asyncio.Task[None]":
        resuming = asyncio.create_task(self.node.resume())
        async with asyncio.timeout(10):
            while self.node.status().state != "error":  # noqa: ASYNC110  # nothing tells of it but what the user sees
                await asyncio.sleep(0)
        return resuming


@pytest.fixture
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    monkeypatch.setattr(controller, "_EXIT_EVENT_TIMEOUT", 0.0)
    monkeypatch.setattr(local, "_RESUME_RETRY", 0.0)
    with closing(StateDir(tmp_path / "state")) as state:
        relay = await process.spawn(state.relay_socket, Settings("127.0.0.2", "127.0.0.2", free_port()))
        try:
            async with FakeEngine(tmp_path / "engine.sock").serving() as engine:
                yield Host(state, engine, relay)
                engine.leaving.set()
        finally:
            await process.end(relay, signal.SIGKILL, within=10)


async def relay_runs(host: Host) -> bool:
    return not await process.gone(host.relay_pid, within=0)


def asked_labels(engine: FakeEngine) -> list[dict[str, Any]]:
    """The filters of every list of containers."""
    urls = [urlsplit(asked.split(" ")[1]) for asked in engine.asked if "/containers/json" in asked]
    return [json.loads(parse_qs(url.query)["filters"][0]) for url in urls]


async def test_a_locked_manager_that_leaves_takes_its_containers_and_its_relay_along(host: Host) -> None:
    await host.until_locked()
    assert await relay_runs(host)
    await host.node.leave(force=True)
    assert host.changes() == [
        f"POST /v1.44/containers/{CONTAINER}/stop",
        f"DELETE /v1.44/containers/{CONTAINER}",
    ]
    identity = host.credentials.identity
    wanted = {"label": [f"io.pyswarm.cluster={identity.cluster_id}", f"io.pyswarm.node={identity.node_id}"]}
    assert asked_labels(host.engine) == [wanted]
    assert not await relay_runs(host)
    assert host.left() == {"lock"}
    assert host.node.status().state == "inactive"


async def test_so_does_a_node_that_cannot_go_on(host: Host) -> None:
    (host.state.path / NODE_FILE).write_text("{")
    resuming = await host.until_in_error()
    await host.node.leave(force=True)
    await resuming
    assert host.changes()[-1] == f"DELETE /v1.44/containers/{CONTAINER}"
    assert not await relay_runs(host)
    assert host.left() == {"lock"}


async def test_without_a_certificate_no_container_is_touched_and_the_log_says_what_to_do(host: Host) -> None:
    (host.state.certificates / FILE_NAME).write_bytes(b"")
    resuming = await host.until_in_error()
    with capture_logs() as said:
        await host.node.leave(force=True)
    await resuming
    assert host.engine.asked == []
    assert "docker ps --all --filter label=io.pyswarm.cluster" in said[0]["advice"]
    assert not await relay_runs(host)
    assert host.left() == {"lock"}


async def test_an_engine_that_is_gone_does_not_keep_a_node_in_its_cluster(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "_ENGINE_SECONDS", 0.1)
    host.engine.unreachable()
    await host.until_locked()
    await host.node.leave(force=True)
    assert not await relay_runs(host)
    assert host.left() == {"lock"}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDir]:
    with closing(StateDir(tmp_path)) as made:
        yield made


def test_what_cannot_be_unmounted_hinders_nothing_and_goes_the_next_time(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = state.mounts / new_id()
    place.mkdir(parents=True)
    (place / "0").write_bytes(b"secret")
    state.save(Membership("192.0.2.1", ""))
    state.raft.mkdir()
    unlink = os.unlink

    def unlink_but_not_there(name: str | Path, **where: int) -> None:
        if Path(name).name == "0":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), "0")
        unlink(name, **where)

    def refuse(folder: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(folder))

    with monkeypatch.context() as mounted:
        mounted.setattr(Path, "is_mount", lambda path: path == place)
        mounted.setattr(tmpfs, "unmount", refuse)
        mounted.setattr(os, "unlink", unlink_but_not_there)
        with capture_logs() as said:
            forget(state)
    assert {entry.name for entry in state.path.iterdir()} == {"lock", "mounts"}
    assert [(entry["event"], entry["place"]) for entry in said] == [
        ("a task's secrets and configs stay in memory", str(place))
    ]
    forget(state)
    assert [entry.name for entry in state.path.iterdir()] == ["lock"]
