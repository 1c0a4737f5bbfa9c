"""A node's ways into a cluster and out of it: whatever fails on the way, it is afterwards what it was before."""

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import FailedPrecondition, PermissionDenied, PyswarmError, Unavailable
from core.model import Role
from identity.files import NodeKeys, save
from pyswarm.engineapi.ports import AlreadyInSwarm, InitRequest, JoinRequest, LocalNode, NotInSwarm, NotManager
from pyswarm.node import local
from pyswarm.node.addresses import HostPort
from pyswarm.node.config import DaemonConfig
from pyswarm.node.local import LocalNodeApi
from pyswarm.node.state import NODE_FILE, Membership, StateDir
from tests.support.certificates import Issuer

MEMBERSHIP = Membership("192.0.2.1", "")


class PlayedMember:
    """What LocalNodeApi asks of a Member; `failure` is what its start meets."""

    def __init__(self, failure: BaseException | None = None, managers: int = 0) -> None:
        self.failure = failure
        self.identity = SimpleNamespace(node_id="n1", role=Role.WORKER)
        self.address = HostPort("192.0.2.1", 2377)
        self.managers = ()
        self.error = self.removal = ""
        self.warnings: tuple[str, ...] = ()
        self.connected = True
        self.manager = SimpleNamespace(members=range(managers), control="control") if managers else None
        self.calls: list[str] = []
        self.keychain = SimpleNamespace(unlock_key=b"")

    async def enter(self) -> None:
        self.calls.append("enter")
        if self.failure is not None:
            raise self.failure

    async def resume(self) -> None:
        self.calls.append("resume")
        if self.failure is not None:
            raise self.failure

    async def leave(self) -> None:
        self.calls.append("leave")

    async def stop(self) -> None:
        self.calls.append("stop")


class World:
    """A node whose next way into a cluster ends with `member`, or with `refusal`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = StateDir(folder)
        config = DaemonConfig(folder, folder / "socket", "unix:///none", "", "", "human", "info")
        self.node = LocalNodeApi(config, self.state)
        self.member = PlayedMember()
        self.refusal: PyswarmError | None = None
        for way in ("found", "join"):
            monkeypatch.setattr(local, way, self._enter)
        monkeypatch.setattr(local, "Member", lambda *_: self.member)

    async def _enter(self, config: DaemonConfig, state: StateDir, request: Any) -> PlayedMember:
        if self.refusal is not None:
            raise self.refusal
        self.keep()
        return self.member

    def keep(self) -> None:
        save(self.state.certificates, NodeKeys(Issuer().credentials().bundle))
        self.state.save(MEMBERSHIP)

    def left(self) -> set[str]:
        return {entry.name for entry in self.state.path.iterdir()} - {"lock"}


async def until_in_error(node: LocalNodeApi) -> None:
    async with asyncio.timeout(10):
        while node.status().state != "error":  # noqa: ASYNC110  # nothing tells of it but what the user sees
            await asyncio.sleep(0)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path, monkeypatch)
    yield made
    made.state.close()


async def test_a_node_in_no_cluster_says_so(world: World) -> None:
    await world.node.resume()
    assert world.node.status() == LocalNode()
    with pytest.raises(NotManager, match="docker swarm init"):
        world.node.control()
    with pytest.raises(NotInSwarm, match="This node is not part of a swarm"):
        await world.node.leave(force=True)


async def test_init_makes_it_a_manager(world: World) -> None:
    world.member = PlayedMember(managers=1)
    assert await world.node.init(InitRequest()) == "n1"
    assert world.node.status() == LocalNode("n1", "192.0.2.1", "active", is_manager=True)
    assert world.node.control() == "control"
    assert world.state.load() == MEMBERSHIP


async def test_join_makes_it_a_worker(world: World) -> None:
    await world.node.join(JoinRequest())
    assert world.node.status() == LocalNode("n1", "192.0.2.1", "active")
    world.member.warnings = ("port 80 cannot be served",)
    assert world.node.status() == LocalNode("n1", "192.0.2.1", "active", warnings=("port 80 cannot be served",))
    with pytest.raises(NotManager, match="Worker nodes can't be used"):
        world.node.control()


async def test_a_manager_that_was_removed_answers_every_command_with_that(world: World) -> None:
    """Its own log would say that the quorum is lost, and have the user make a second cluster."""
    world.member = PlayedMember(managers=3)
    await world.node.init(InitRequest())
    world.member.removal = "node n1 was removed from the cluster"
    with pytest.raises(Unavailable, match="was removed"):
        world.node.control()
    with pytest.raises(Unavailable, match="was removed"):
        await world.node.backup("passphrase")
    with pytest.raises(Unavailable, match="was removed"):
        await world.node.init(InitRequest(force_new_cluster=True))
    assert world.member.calls == ["enter"]
    await world.node.leave(force=True)
    assert world.node.status() == LocalNode()


async def test_who_is_in_cannot_enter_again(world: World) -> None:
    await world.node.join(JoinRequest())
    for again in (world.node.join(JoinRequest()), world.node.init(InitRequest())):
        with pytest.raises(AlreadyInSwarm, match=r"already part of a swarm.*docker swarm leave"):
            await again
    assert world.node.status().state == "active"
    assert world.member.calls == ["enter"]


async def test_a_refused_join_leaves_nothing_and_can_be_repeated_at_once(world: World) -> None:
    world.refusal = PermissionDenied("the join token is not valid")
    with pytest.raises(PermissionDenied, match="not valid"):
        await world.node.join(JoinRequest())
    assert world.left() == set()
    assert world.node.status() == LocalNode()
    world.refusal = None
    await world.node.join(JoinRequest())
    assert world.node.status().state == "active"


async def test_a_member_that_cannot_start_is_stopped_and_leaves_nothing(world: World) -> None:
    broken = world.member = PlayedMember(FailedPrecondition("the leader cannot reach it"))
    with pytest.raises(FailedPrecondition, match="cannot reach"):
        await world.node.join(JoinRequest())
    assert broken.calls == ["enter", "stop"]
    assert world.left() == set()
    world.member = PlayedMember()
    await world.node.join(JoinRequest())
    assert world.node.status().state == "active"


async def test_who_gives_up_waiting_leaves_nothing(world: World) -> None:
    world.member = PlayedMember(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await world.node.join(JoinRequest())
    assert world.member.calls == ["enter", "stop"]
    assert world.left() == set()


async def test_a_worker_leaves_with_all_it_had(world: World) -> None:
    await world.node.join(JoinRequest())
    await world.node.leave(force=False)
    assert world.member.calls == ["enter", "leave"]
    assert world.left() == set()
    assert world.node.status() == LocalNode()


@pytest.mark.parametrize(
    ("managers", "cost"), [(1, "Removing the last manager erases all"), (3, "leaves 2 managers out of 3")]
)
async def test_a_manager_leaves_only_by_force(world: World, managers: int, cost: str) -> None:
    world.member = PlayedMember(managers=managers)
    await world.node.init(InitRequest())
    with pytest.raises(Unavailable, match=rf"{cost}.*`--force`"):
        await world.node.leave(force=False)
    assert world.node.status().state == "active"
    await world.node.leave(force=True)
    assert world.left() == set()


async def test_a_restarted_daemon_goes_on(world: World) -> None:
    world.keep()
    await world.node.resume()
    assert world.member.calls == ["resume"]
    assert world.node.status().state == "active"
    await world.node.stop()
    assert world.left() == {NODE_FILE, "certificates"}


async def test_what_hinders_a_restart_is_shown_and_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_RESUME_RETRY", 0.0)
    world.keep()
    (world.state.path / NODE_FILE).rename(world.state.path / "aside")
    (world.state.path / NODE_FILE).write_text("{")
    resuming = asyncio.create_task(world.node.resume())
    await until_in_error(world.node)
    assert "is damaged" in world.node.status().error
    with pytest.raises(AlreadyInSwarm):
        await world.node.join(JoinRequest())
    (world.state.path / "aside").rename(world.state.path / NODE_FILE)
    await resuming
    assert world.node.status().state == "active"


async def test_a_manager_that_cannot_run_says_why_instead_of_what_a_worker_says(world: World) -> None:
    await world.node.join(JoinRequest())
    with pytest.raises(NotManager):
        world.node.control()
    world.member.identity.role = Role.MANAGER
    with pytest.raises(Unavailable, match="its manager is starting"):
        world.node.control()
    world.member.error = "the disk is full"
    with pytest.raises(Unavailable, match="cannot answer for its swarm: the disk is full"):
        world.node.control()


async def test_a_full_disk_is_told_to_whoever_joins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(world, "keep", full)
    with pytest.raises(Unavailable, match=r"No space left.*make room"):
        await world.node.join(JoinRequest())
    assert world.left() == set()
    assert world.node.status() == LocalNode()


async def test_a_disk_that_cannot_be_read_is_no_node_in_no_cluster(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_RESUME_RETRY", 0.0)
    world.keep()
    (world.state.path / NODE_FILE).unlink()
    (world.state.path / NODE_FILE).mkdir()
    resuming = asyncio.create_task(world.node.resume())
    await until_in_error(world.node)
    with pytest.raises(AlreadyInSwarm):
        await world.node.join(JoinRequest())
    with pytest.raises(Unavailable, match="cannot answer for its swarm"):
        world.node.control()
    (world.state.path / NODE_FILE).rmdir()
    await resuming


async def test_a_node_that_lost_its_certificate_can_leave_by_force(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_RESUME_RETRY", 0.0)
    world.state.save(MEMBERSHIP)
    resuming = asyncio.create_task(world.node.resume())
    await until_in_error(world.node)
    assert "leave --force" in world.node.status().error
    await world.node.leave(force=True)
    await resuming
    assert world.node.status() == LocalNode()
    assert world.left() == set()
