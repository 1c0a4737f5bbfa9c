"""The root's rotation (CA-06), with real nodes over gRPC and disks; the engine is played."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import FailedPrecondition, OutOfSequence, PermissionDenied
from core.model import RootCA
from identity.certificates import root_fingerprint
from identity.credentials import Credentials
from identity.files import load_credentials
from identity.root import create_root
from manager.control import Rotations
from pyswarm.engineapi.ports import JoinRequest
from tests.support.local_nodes import LocalNode, local_nodes
from tests.support.waiting import eventually


@pytest.fixture
async def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[LocalNode]]:
    """Two managers and a worker, and one more that is in no cluster."""
    async with local_nodes(tmp_path, 4, monkeypatch) as made:
        one, two, worker, _ = made
        await one.init()
        await two.join_as_manager(one)
        await join_as_worker(worker, one)
        yield made


async def join_as_worker(node: LocalNode, other: LocalNode, token: str = "") -> None:
    token = token or (await other.api.control().get_cluster()).root_ca.worker_token
    await node.api.join(JoinRequest(node.addr, node.addr, (other.addr,), token))


async def rotate(node: LocalNode, rotations: Rotations | None = None) -> RootCA:
    """The root that it begins with."""
    control = node.api.control()
    while True:
        cluster = await control.get_cluster()
        spec = cluster.spec if rotations else replace(cluster.spec, force_rotate=cluster.spec.force_rotate + 1)
        try:
            await control.update_cluster(cluster.meta.version, spec, rotations or Rotations())
        except OutOfSequence:
            continue
        return cluster.root_ca


def root_of(node: LocalNode) -> RootCA:
    assert node.api.manager is not None
    assert node.api.manager.store.cluster is not None
    return node.api.manager.store.cluster.root_ca


def on_disk(node: LocalNode) -> Credentials:
    found = load_credentials(node.folder / "certificates")
    assert found is not None
    return found


async def rotated(nodes: list[LocalNode], old: RootCA) -> RootCA:
    """Until all of `nodes`, managers first, hold certificates of another root than `old`, and trust it alone."""
    first = nodes[0]
    await eventually("the new root alone", lambda: root_of(first).rotation is None and root_of(first).cert != old.cert)
    new = root_of(first)
    for node in nodes:
        await eventually("its new trust", lambda node=node: on_disk(node).bundle.root == new.cert)
        assert on_disk(node).issuer == root_fingerprint(new.cert)
    return new


@asynccontextmanager
async def calls(*managers: LocalNode) -> AsyncIterator[list[int]]:
    """Calls all the time, of what each manager knows itself and of what only the leader does; none may fail. How many
    were answered."""
    answered = [0]

    async def call(node: LocalNode) -> None:
        while True:
            await node.api.control().get_cluster()
            await node.api.control().list_nodes({})
            answered[0] += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call(node)) for node in managers]
        yield answered
        for task in tasks:
            task.cancel()


async def test_CA_06_all_nodes_take_to_a_new_root_while_no_call_fails(nodes: list[LocalNode]) -> None:
    *members, late = nodes
    one, two, _ = members
    async with calls(one, two) as answered:
        old = await rotate(two)
        new = await rotated(members, old)
        count = answered[0]
        await eventually("more calls", lambda: answered[0] > count + 20)
    with pytest.raises(PermissionDenied, match="another cluster"):
        await join_as_worker(late, one, old.worker_token)
    await join_as_worker(late, one)
    assert on_disk(late).bundle.root == new.cert
    for node in nodes:
        await eventually("its session", lambda node=node: node.api.connected)


async def test_CA_06_nodes_join_and_go_on_after_a_restart_while_one_root_succeeds_another(
    nodes: list[LocalNode],
) -> None:
    one, two, worker, late = nodes
    await worker.stop()  # without it the rotation cannot end
    old = await rotate(one)
    await eventually("both roots trusted", lambda: on_disk(two).bundle.root != old.cert)
    assert root_of(one).rotation is not None
    await join_as_worker(late, two)
    assert on_disk(late).bundle.root == on_disk(two).bundle.root
    await two.stop()
    two.start()
    await two.api.resume()
    await eventually("the managers are together", lambda: one.reachable == two.reachable == 2)
    assert root_of(one).rotation is not None
    worker.start()
    await worker.api.resume()
    await rotated([one, two, worker, late], old)


async def test_CA_06_a_manager_that_was_down_is_waited_for_or_removed(nodes: list[LocalNode]) -> None:
    one, two, worker, late = nodes
    await late.join_as_manager(one)
    await two.stop()
    old = await rotate(one)
    await eventually("the others have it", lambda: _holds_other(worker, old) and _holds_other(late, old))
    assert root_of(one).rotation is not None
    two.start()
    await two.api.resume()
    new = await rotated([one, two, worker, late], old)

    gone = worker.api.status().node_id
    await worker.stop()
    await rotate(one)
    await eventually("the others have it", lambda: _holds_other(two, new) and _holds_other(late, new))
    assert root_of(one).rotation is not None
    await one.api.control().remove_node(gone, force=True)
    await rotated([one, two, late], new)


async def test_CA_06_repeated_rotations_end_with_the_last(nodes: list[LocalNode]) -> None:
    one, two, worker, _ = nodes
    await worker.stop()
    old = await rotate(one)
    await eventually("the first of them", lambda: _holds_other(two, old))
    cert, key = create_root(1_700_000_000 * 10**9)
    await rotate(two)
    await rotate(two, Rotations(root_cert=cert, root_key=key))
    worker.start()
    await worker.api.resume()
    new = await rotated([one, two, worker], old)
    assert new.cert == cert

    await worker.stop()
    await rotate(one)
    await eventually("on the way to another", lambda: _holds_other(two, new))
    with pytest.raises(FailedPrecondition, match="cannot go back"):
        await rotate(one, Rotations(root_cert=new.cert, root_key=key))
    worker.start()
    await worker.api.resume()
    await rotated([one, two, worker], new)
    for node in (one, two, worker):
        await eventually("its session", lambda node=node: node.api.connected)


def _holds_other(node: LocalNode, old: RootCA) -> bool:
    return on_disk(node).issuer not in ("", root_fingerprint(old.cert))
