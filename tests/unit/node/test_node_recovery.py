"""A node that goes on alone, or out of a backup: real managers over gRPC and disks; the engine is played."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from core.clock import WallClock
from core.errors import FailedPrecondition, InvalidArgument, Unavailable
from core.model import ContainerSpec, Role, ServiceSpec, TaskSpec
from identity.files import NodeKeys, load_credentials, save
from identity.keys import new_key_and_csr
from identity.model import PemBundle
from identity.root import HOUR, issue
from manager import recovery
from manager.backup import sealed
from pyswarm.engineapi.ports import AlreadyInSwarm, InitRequest, JoinRequest, NotManager, RestoreRequest
from pyswarm.node import recovery as local_recovery
from pyswarm.node.state import NODE_FILE, StateDir
from tests.support.local_nodes import LocalNode, local_nodes
from tests.support.waiting import eventually

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
async def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[LocalNode]]:
    monkeypatch.setattr(sealed, "_SCRYPT_N", 2)
    monkeypatch.setattr(local_recovery, "_LOOK_AROUND", 0.5)
    async with local_nodes(tmp_path, 3, monkeypatch) as made:
        yield made


async def found(nodes: list[LocalNode], managers: int) -> None:
    first, *others = nodes[:managers]
    await first.init()
    for other in others:
        await other.join_as_manager(first)
    await first.api.control().create_service(
        ServiceSpec("web", task=TaskSpec(ContainerSpec(image="busybox")), replicas=2), b"web"
    )


async def stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def services(node: LocalNode) -> list[str]:
    return [service.spec.name for service, _ in await node.api.control().list_services({})]


async def test_RFT_05_the_last_of_three_managers_goes_on_alone_with_all_data(nodes: list[LocalNode]) -> None:
    await found(nodes, 3)
    survivor, *lost = nodes
    own_id = survivor.api.status().node_id
    before = await survivor.api.control().get_cluster()
    for node in lost:
        await node.stop()
    await eventually("the others gone", lambda: survivor.reachable == 1)
    assert await survivor.init(force_new_cluster=True) == own_id
    after = await survivor.api.control().get_cluster()
    assert (after.id, after.root_ca) == (before.id, before.root_ca)
    assert await services(survivor) == ["web"]
    (listed,) = await survivor.api.control().list_nodes({})
    assert (listed.id, listed.role, listed.manager is not None) == (own_id, Role.MANAGER, True)
    await survivor.stop()
    survivor.start()
    await survivor.api.resume()
    await eventually("it leads again", lambda: survivor.api.manager is not None and survivor.api.manager.is_leader)
    assert await services(survivor) == ["web"]


async def test_a_lost_manager_that_comes_back_is_told_to_leave_and_join(nodes: list[LocalNode]) -> None:
    await found(nodes, 3)
    survivor, *lost = nodes
    for node in lost:
        await node.stop()
    await eventually("the others gone", lambda: survivor.reachable == 1)
    await survivor.init(force_new_cluster=True)
    back = lost[0]
    back.start()
    await back.api.resume()
    await eventually("it says so", lambda: "removed from the cluster" in back.api.status().error)
    with pytest.raises(Unavailable, match="removed from the cluster"):
        await back.init(force_new_cluster=True)
    assert (back.folder / "raft").exists()
    await back.api.leave(force=True)
    await back.join_as_manager(survivor)
    await eventually("both reach each other", lambda: back.reachable == 2)
    assert await services(back) == ["web"]


async def test_a_cluster_that_has_its_quorum_is_not_split(nodes: list[LocalNode]) -> None:
    await found(nodes, 3)
    one, two, three = nodes
    with pytest.raises(FailedPrecondition, match="3 of 3 managers can be reached"):
        await one.init(force_new_cluster=True)
    await three.stop()
    await eventually("one gone", lambda: one.reachable == 2)
    with pytest.raises(FailedPrecondition, match=r"2 of 3 managers can be reached.*stop the others first"):
        await one.init(force_new_cluster=True)
    assert await services(two) == ["web"]


async def test_a_cluster_is_not_split_by_a_manager_that_cannot_run(nodes: list[LocalNode]) -> None:
    await found(nodes, 3)
    one, two, _ = nodes
    await one.stop()
    host, port = one.addr.split(":")
    with socket.create_server((host, int(port))):
        one.start()
        await one.api.resume()
        await eventually("it cannot run", lambda: "cannot run" in one.api.status().error)
        with pytest.raises(FailedPrecondition, match=r"3 of 3 managers can be reached.*stop the others first"):
            await one.init(force_new_cluster=True)
    await eventually("it is a manager again", lambda: one.reachable == 3)
    assert await services(two) == ["web"]


async def test_a_manager_that_was_not_started_yet_looks_for_the_others_itself(nodes: list[LocalNode]) -> None:
    await found(nodes, 3)
    survivor, *others = nodes
    await survivor.stop()
    survivor.start()
    with pytest.raises(FailedPrecondition, match="3 of 3 managers can be reached"):
        await survivor.init(force_new_cluster=True)
    for node in others:
        await node.stop()
    await survivor.init(force_new_cluster=True)
    assert await services(survivor) == ["web"]
    assert survivor.reachable == 1


async def test_a_node_without_a_managers_log_is_refused(nodes: list[LocalNode]) -> None:
    one, two, _ = nodes
    with pytest.raises(FailedPrecondition, match="holds no manager's state"):
        await one.init(force_new_cluster=True)
    assert one.api.status().state == "inactive"
    await one.init()
    token = (await one.api.control().get_cluster()).root_ca.worker_token
    await two.api.join(JoinRequest(two.addr, two.addr, (one.addr,), token))
    with pytest.raises(FailedPrecondition, match="holds no manager's state"):
        await two.init(force_new_cluster=True)
    assert two.api.status().state == "active"


@pytest.mark.parametrize("error", [FailedPrecondition("the log is damaged"), AssertionError()])
async def test_a_log_that_cannot_be_used_leaves_the_manager_what_it_was(
    nodes: list[LocalNode], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    await found(nodes, 1)
    (one, *_) = nodes

    def refuse(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "lead_alone", refuse)
        with pytest.raises(type(error)):
            await one.init(force_new_cluster=True)
        assert one.api.status().state == "error"
    await eventually("it goes on", lambda: one.api.manager is not None and one.api.manager.is_leader)
    assert await services(one) == ["web"]


async def test_a_disk_that_fails_in_the_middle_is_said_and_the_manager_goes_on(
    nodes: list[LocalNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    await found(nodes, 1)
    (one, *_) = nodes

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(StateDir, "save", full)
        with pytest.raises(Unavailable, match=r"No space left on device.*make room or mend the disk"):
            await one.init(force_new_cluster=True)
    await eventually("it goes on", lambda: one.api.manager is not None and one.api.manager.is_leader)
    assert await services(one) == ["web"]


async def test_a_crash_between_the_log_and_the_node_leaves_a_manager_that_goes_on_alone(
    nodes: list[LocalNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    await found(nodes, 2)
    survivor, lost, _ = nodes
    await lost.stop()
    await eventually("the other gone", lambda: survivor.reachable == 1)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(StateDir, "save", crash)
        with pytest.raises(KeyboardInterrupt):
            await survivor.init(force_new_cluster=True)
    await survivor.stop()
    survivor.start()
    await survivor.api.resume()
    await eventually("it leads", lambda: survivor.api.manager is not None and survivor.api.manager.is_leader)
    assert [node.id for node in await survivor.api.control().list_nodes({})] == [survivor.api.status().node_id]
    assert await services(survivor) == ["web"]


async def test_an_address_that_cannot_be_changes_nothing(nodes: list[LocalNode]) -> None:
    await found(nodes, 1)
    before = nodes[0].api.manager
    with pytest.raises(InvalidArgument, match="neither an IP address nor an interface"):
        await nodes[0].api.init(InitRequest(advertise_addr="nosuch0", force_new_cluster=True))
    assert nodes[0].api.manager is before


async def test_a_lone_manager_moves_to_another_address(nodes: list[LocalNode]) -> None:
    await found(nodes, 1)
    (one, two, _) = nodes
    two_host = two.addr.partition(":")[0]
    await one.api.init(InitRequest(advertise_addr=two_host, force_new_cluster=True))
    assert one.api.status().addr == two_host
    await eventually("the log has it", lambda: one.api.status().remote_managers[0].addr == two.addr)


async def test_a_backup_restored_elsewhere_keeps_authority_settings_and_services(nodes: list[LocalNode]) -> None:
    await found(nodes, 2)
    old, other, fresh = nodes
    backup = b"".join(await old.api.backup(PASSPHRASE))
    assert b"PRIVATE KEY" not in backup
    assert b"SWMTKN" not in backup
    before = await old.api.control().get_cluster()
    await old.stop()
    await other.stop()
    request = RestoreRequest(fresh.addr, fresh.addr, PASSPHRASE)
    node_id = await fresh.api.restore(request, stream([backup[:7], backup[7:]]))
    after = await fresh.api.control().get_cluster()
    assert (after.id, after.spec, after.root_ca) == (before.id, before.spec, before.root_ca)
    assert [node.id for node in await fresh.api.control().list_nodes({})] == [node_id]
    assert await services(fresh) == ["web"]
    await fresh.stop()
    fresh.start()
    await fresh.api.resume()
    await eventually("it leads", lambda: fresh.api.manager is not None and fresh.api.manager.is_leader)
    assert await services(fresh) == ["web"]
    # An old node is refused until it has left; then it joins with the old token.
    other.start()
    await other.api.resume()
    await other.api.leave(force=True)
    await other.api.join(JoinRequest(other.addr, other.addr, (fresh.addr,), before.root_ca.manager_token))
    assert await services(other) == ["web"]


async def test_only_a_manager_gives_a_backup_and_only_a_free_node_takes_one(nodes: list[LocalNode]) -> None:
    one, two, _ = nodes
    with pytest.raises(NotManager):
        await two.api.backup(PASSPHRASE)
    await one.init()
    backup = list(await one.api.backup(PASSPHRASE))
    with pytest.raises(AlreadyInSwarm):
        await one.api.restore(RestoreRequest(passphrase=PASSPHRASE), stream(backup))


async def test_a_backup_that_stalls_keeps_nobody_waiting_and_is_given_up(
    nodes: list[LocalNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, *_ = nodes
    asked, stalled = asyncio.Event(), asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield b"the beginning"
        asked.set()
        await stalled.wait()

    upload = asyncio.create_task(one.api.restore(RestoreRequest(passphrase=PASSPHRASE), stalling()))
    await asked.wait()
    await one.init()
    stalled.set()
    with pytest.raises(AlreadyInSwarm):
        await upload
    await one.api.leave(force=True)
    monkeypatch.setattr(local_recovery, "_STALLED", 0.1)
    stalled.clear()
    with pytest.raises(Unavailable, match=r"nothing of it came for 0.1 s; start `pyswarm restore` again"):
        await one.api.restore(RestoreRequest(passphrase=PASSPHRASE), stalling())


@pytest.mark.parametrize(("passphrase", "keep"), [("another passphrase", 1.0), (PASSPHRASE, 0.5), (PASSPHRASE, 0.01)])
async def test_what_cannot_be_restored_leaves_no_trace(nodes: list[LocalNode], passphrase: str, keep: float) -> None:
    one, two, _ = nodes
    await one.init()
    backup = b"".join(await one.api.backup(PASSPHRASE))
    request = RestoreRequest(two.addr, two.addr, passphrase)
    with pytest.raises(InvalidArgument, match="backup"):
        await two.api.restore(request, stream([backup[: int(keep * len(backup))]]))
    assert [path.name for path in two.folder.iterdir()] == ["lock"]
    assert two.api.status().state == "inactive"


async def test_a_crash_before_the_last_step_of_a_restore_is_no_restore(nodes: list[LocalNode]) -> None:
    one, two, _ = nodes
    await one.init()
    backup = b"".join(await one.api.backup(PASSPHRASE))
    request = RestoreRequest(two.addr, two.addr, PASSPHRASE)
    await two.api.restore(request, stream([backup]))
    await two.stop()
    (two.folder / NODE_FILE).unlink()
    two.start()
    await two.api.resume()
    assert two.api.status().state == "inactive"
    await two.join_as_manager(one)
    await eventually("both reach each other", lambda: two.reachable == 2)


async def test_CA_09_a_forced_new_cluster_renews_its_expired_certificate(nodes: list[LocalNode]) -> None:
    await found(nodes, 2)
    survivor, lost, _ = nodes
    manager = survivor.api.manager
    assert manager is not None
    assert manager.store.cluster is not None
    root, folder = manager.store.cluster.root_ca, survivor.folder / "certificates"
    await lost.stop()
    await survivor.stop()
    before = load_credentials(folder)
    assert before is not None
    key, csr = new_key_and_csr()
    two_days_ago = WallClock().now() - 48 * HOUR
    expired = issue(root.cert, root.key, csr, before.identity, two_days_ago, HOUR)
    save(folder, NodeKeys(PemBundle(key, expired, root.cert)))
    survivor.start()
    await survivor.api.resume()
    await survivor.init(force_new_cluster=True)
    await eventually("its agent has a session", lambda: survivor.api.connected)
    after = load_credentials(folder)
    assert after is not None
    assert after.expires_at > WallClock().now()
    assert await services(survivor) == ["web"]
