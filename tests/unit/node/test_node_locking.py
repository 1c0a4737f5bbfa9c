"""Autolock (CA-08), with real managers over gRPC and disks; the engine is played."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import FailedPrecondition, InvalidArgument, NotFound, OutOfSequence
from core.model import ContainerSpec, Role, ServiceSpec, TaskSpec
from identity.files import Locked, load
from identity.unlock import unlock_key_text
from manager.backup import sealed
from manager.control import Rotations
from pyswarm.engineapi.ports import InitRequest, JoinRequest, NotLocked, NotManager, RestoreRequest, SwarmLocked
from pyswarm.node import recovery as local_recovery
from raft import Locked as LogLocked
from raft import inspect_log
from tests.support.local_nodes import LocalNode, local_nodes
from tests.support.waiting import eventually


@pytest.fixture
async def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[LocalNode]]:
    monkeypatch.setattr(local_recovery, "_LOOK_AROUND", 0.5)
    async with local_nodes(tmp_path, 3, monkeypatch) as made:
        yield made


async def set_autolock(node: LocalNode, wanted: bool, rotate: bool = False) -> bytes:
    """The unlock key then."""
    control = node.api.control()
    cluster = await control.get_cluster()
    spec = replace(cluster.spec, auto_lock=wanted)
    await control.update_cluster(cluster.meta.version, spec, Rotations(unlock_key=rotate))
    return await control.get_unlock_key()


def keys_locked(node: LocalNode) -> bool:
    try:
        load(node.folder / "certificates")
    except Locked:
        return True
    return False


def log_locked(node: LocalNode) -> bool:
    try:
        inspect_log(node.folder / "raft")
    except LogLocked:
        return True
    except FailedPrecondition:  # it is being written
        return not keys_locked(node)
    return False


def opens_with(node: LocalNode, key: bytes) -> bool:
    try:
        keys = load(node.folder / "certificates", key)
    except Locked:
        return False
    return keys is not None and len(keys.log_keys) == 1


async def settled(node: LocalNode, key: bytes) -> None:
    """Until the node's disk is locked with `key`, or not at all if that is empty."""
    if key:
        await eventually("locked", lambda: keys_locked(node) and opens_with(node, key) and log_locked(node))
    else:
        await eventually("in clear", lambda: not keys_locked(node) and opens_with(node, b"") and not log_locked(node))


async def restart(node: LocalNode) -> None:
    await node.stop()
    node.start()
    await node.api.resume()


async def run_a_service(node: LocalNode) -> None:
    spec = ServiceSpec("web", task=TaskSpec(ContainerSpec(image="busybox")), replicas=2)
    await node.api.control().create_service(spec, b"web")


async def join_as_worker(node: LocalNode, other: LocalNode) -> None:
    token = (await other.api.control().get_cluster()).root_ca.worker_token
    await node.api.join(JoinRequest(node.addr, node.addr, (other.addr,), token))


async def set_role(by: LocalNode, node: LocalNode, role: Role) -> None:
    control = by.api.control()
    await eventually("its session", lambda: node.api.connected)
    while True:
        found = await control.get_node(node.api.status().node_id)
        try:
            await control.update_node(found.id, found.meta.version, replace(found.spec, role=role))
            break
        except OutOfSequence:
            continue
    await eventually("its new role", lambda: node.api.status().is_manager is (role is Role.MANAGER))


async def test_CA_08_managers_are_locked_after_a_restart_until_the_right_key_is_given(nodes: list[LocalNode]) -> None:
    one, two, worker = nodes
    await one.init()
    await two.join_as_manager(one)
    await join_as_worker(worker, one)
    await run_a_service(one)
    with pytest.raises(NotLocked):
        await one.api.unlock("x")
    key = await set_autolock(two, True)
    for node in (one, two):
        await settled(node, key)
    assert not keys_locked(worker)

    await restart(two)
    assert two.api.status().state == "locked"
    assert "needs to be unlocked" in two.api.status().error
    for refused in (two.api.control, lambda: two.api._check_free()):
        with pytest.raises(SwarmLocked):
            refused()
    with pytest.raises(SwarmLocked):
        await two.init(force_new_cluster=True)
    with pytest.raises(InvalidArgument, match="looks like SWMKEY"):
        await two.api.unlock("SWMKEY-1-nonsense")
    with pytest.raises(InvalidArgument, match="invalid key provided"):
        await two.api.unlock(unlock_key_text(b"k" * 32))
    assert two.api.status().state == "locked"
    await two.api.unlock(f"{unlock_key_text(key)}\n")
    await eventually("its manager", lambda: two.reachable == 2)
    assert (await two.api.control().get_service("web")).spec.name == "web"

    await restart(worker)
    await eventually("its session", lambda: worker.api.connected)
    with pytest.raises(NotManager):
        await worker.api.unlock(unlock_key_text(key))


async def test_CA_08_the_key_rotates_everywhere_and_unlocking_brings_keys_in_clear(nodes: list[LocalNode]) -> None:
    one, two, late = nodes
    await one.api.init(InitRequest(one.addr, one.addr, spec=replace(InitRequest().spec, auto_lock=True)))
    await two.join_as_manager(one)
    first = await one.api.control().get_unlock_key()
    for node in (one, two):
        await settled(node, first)
    second = await set_autolock(two, True, rotate=True)
    assert second != first
    for node in (one, two):
        await settled(node, second)
        assert not opens_with(node, first)
    await late.join_as_manager(one)
    await settled(late, second)

    await restart(one)
    with pytest.raises(InvalidArgument, match="was rotated while this manager was stopped"):
        await one.api.unlock(unlock_key_text(first))
    await one.api.unlock(unlock_key_text(second))
    await eventually("all three", lambda: one.reachable == 3)
    assert await set_autolock(one, False) == b""
    for node in nodes:
        await settled(node, b"")
    await restart(one)
    await eventually("all three", lambda: one.reachable == 3)


async def test_CA_08_a_key_that_is_rotated_while_a_manager_is_locked_reaches_it_once_it_is_not(
    nodes: list[LocalNode],
) -> None:
    one, two, three = nodes
    await one.init()
    await two.join_as_manager(one)
    await three.join_as_manager(one)
    first = await set_autolock(one, True)
    await settled(three, first)
    await restart(three)
    second = await set_autolock(one, True, rotate=True)
    with pytest.raises(InvalidArgument):
        await three.api.unlock(unlock_key_text(second))
    await three.api.unlock(unlock_key_text(first))
    await settled(three, second)


async def test_CA_08_who_is_promoted_is_locked_and_who_is_demoted_is_not(nodes: list[LocalNode]) -> None:
    one, two, three = nodes
    await one.init()
    await two.join_as_manager(one)
    await join_as_worker(three, one)
    key = await set_autolock(one, True)
    await set_role(one, three, Role.MANAGER)
    await settled(three, key)
    await restart(three)
    assert three.api.status().state == "locked"
    await three.api.unlock(unlock_key_text(key))
    await eventually("all three", lambda: three.reachable == 3)
    await set_role(one, three, Role.WORKER)
    await eventually("in clear", lambda: not keys_locked(three))
    await restart(three)
    await eventually("its session", lambda: three.api.connected)
    assert three.api.status().state == "active"
    await set_role(one, three, Role.MANAGER)
    await settled(three, key)


async def test_CA_08_a_locked_manager_goes_on_alone_once_it_is_unlocked(nodes: list[LocalNode]) -> None:
    one, two, _ = nodes
    await one.init()
    await two.join_as_manager(one)
    await run_a_service(one)
    key = await set_autolock(one, True)
    await settled(one, key)
    await two.stop()
    await restart(one)
    await one.api.unlock(unlock_key_text(key))
    await one.init(force_new_cluster=True)
    assert (await one.api.control().get_service("web")).spec.name == "web"
    await settled(one, key)
    await restart(one)
    assert one.api.status().state == "locked"
    await one.api.unlock(unlock_key_text(key))
    assert (await one.api.control().get_service("web")).spec.name == "web"


async def test_CA_08_a_cluster_out_of_a_backup_is_locked_with_the_key_that_it_had(
    nodes: list[LocalNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "_SCRYPT_N", 2)
    one, two, _ = nodes
    await one.init()
    key = await set_autolock(one, True)
    backup = b"".join(await one.api.backup("correct horse battery staple"))
    await one.stop()

    async def stream() -> AsyncIterator[bytes]:
        yield backup

    await two.api.restore(RestoreRequest(two.addr, two.addr, "correct horse battery staple"), stream())
    await settled(two, key)
    await restart(two)
    await two.api.unlock(unlock_key_text(key))
    assert await two.api.control().get_unlock_key() == key


async def test_CA_08_a_locked_manager_leaves_only_by_force(nodes: list[LocalNode]) -> None:
    one, *_ = nodes
    await one.init()
    await settled(one, await set_autolock(one, True))
    await restart(one)
    with pytest.raises(SwarmLocked):
        await one.api.leave(force=False)
    await one.api.leave(force=True)
    assert one.api.status().state == "inactive"
    with pytest.raises(NotManager):
        await one.api.unlock("x")
    await one.init()
    with pytest.raises(NotFound):
        await one.api.control().get_service("web")
    assert not keys_locked(one)
