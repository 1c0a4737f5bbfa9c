"""The cluster object through the control API."""

from dataclasses import replace

import pytest

from core.errors import FailedPrecondition, InvalidArgument, OutOfSequence
from core.model import RootCA
from identity.root import create_root
from manager.control import Rotations
from manager.control.api import NOTHING
from tests.support.control_world import ControlWorld


@pytest.fixture
async def world() -> ControlWorld:
    made = ControlWorld()
    await made.manager.found()
    return made


async def test_the_roots_key_never_leaves(world: ControlWorld):
    cluster = await world.control.get_cluster()
    assert cluster.root_ca.key == b""
    assert cluster.root_ca.cert
    assert cluster.root_ca.worker_token
    updated = await world.control.update_cluster(cluster.meta.version, cluster.spec)
    assert updated.root_ca.key == b""
    assert world.manager.cluster.root_ca.key


async def test_tokens_are_rotated_one_by_one(world: ControlWorld):
    before = await world.control.get_cluster()
    after = await world.control.update_cluster(before.meta.version, before.spec, Rotations(worker_token=True))
    assert after.root_ca.worker_token != before.root_ca.worker_token
    assert after.root_ca.manager_token == before.root_ca.manager_token
    with pytest.raises(OutOfSequence):
        await world.control.update_cluster(before.meta.version, before.spec, Rotations(manager_token=True))
    spec = replace(after.spec, task_history_limit=9)
    last = await world.control.update_cluster(after.meta.version, spec, Rotations(manager_token=True))
    assert last.root_ca.manager_token != before.root_ca.manager_token
    assert (last.root_ca.worker_token, last.spec.task_history_limit) == (after.root_ca.worker_token, 9)


async def test_before_there_is_a_cluster():
    with pytest.raises(FailedPrecondition, match="is being formed"):
        await ControlWorld().control.get_cluster()


async def test_settings_that_cannot_be_are_refused(world: ControlWorld):
    before = await world.control.get_cluster()
    with pytest.raises(InvalidArgument, match="heartbeat"):
        await world.control.update_cluster(before.meta.version, replace(before.spec, heartbeat_period=1))
    assert await world.control.get_cluster() == before


async def test_CA_08_the_unlock_key_comes_and_goes_with_autolock_and_is_told_apart(world: ControlWorld):
    async def change(auto_lock: bool, rotations: Rotations = NOTHING) -> bytes:
        cluster = await world.control.get_cluster()
        told = await world.control.update_cluster(
            cluster.meta.version, replace(cluster.spec, auto_lock=auto_lock), rotations
        )
        assert told.unlock_key == b"" == (await world.control.get_cluster()).unlock_key
        return await world.control.get_unlock_key()

    assert await world.control.get_unlock_key() == b""
    assert await change(False, Rotations(unlock_key=True)) == b"", "there is nothing to rotate"
    first = await change(True)
    assert len(first) == 32
    assert await change(True) == first
    second = await change(True, Rotations(unlock_key=True))
    assert len(second) == 32
    assert second != first
    assert await change(False) == b""
    assert await change(True) not in (first, second)


async def test_CA_06_a_rotation_begins_when_it_is_forced_or_another_root_is_given(world: ControlWorld):
    async def change(rotations: Rotations = NOTHING, forced: int = 0) -> RootCA:
        cluster = await world.control.get_cluster()
        spec = replace(cluster.spec, force_rotate=cluster.spec.force_rotate + forced)
        told = await world.control.update_cluster(cluster.meta.version, spec, rotations)
        assert told.root_ca.key == b""
        assert told.root_ca.rotation is None or told.root_ca.rotation.key == b""
        return world.manager.cluster.root_ca

    before = await change()
    assert before.rotation is None
    assert await change(Rotations(root_cert=before.cert)) == before, "as clients send back what they read"
    assert await change(Rotations(root_cert=before.cert, root_key=before.key)) == before
    first = (await change(forced=1)).rotation
    assert first is not None
    assert (await change()).rotation == first
    cert, key = create_root(world.clock.now())
    given = (await change(Rotations(root_cert=cert, root_key=key))).rotation
    assert given is not None
    assert (given.cert, given.key) == (cert, key)
    assert (await change(Rotations(root_cert=cert, root_key=key))).rotation == given
    with pytest.raises(FailedPrecondition, match="cannot go back"):
        await change(Rotations(root_cert=before.cert, root_key=before.key))
    assert world.manager.cluster.root_ca.rotation == given


async def test_an_external_authority_is_refused(world: ControlWorld):
    cluster = await world.control.get_cluster()
    foreign, key = create_root(world.clock.now())
    with pytest.raises(InvalidArgument, match="pyswarm has no external authorities"):
        await world.control.update_cluster(cluster.meta.version, cluster.spec, Rotations(root_cert=foreign))
    with pytest.raises(InvalidArgument, match="without its certificate"):
        await world.control.update_cluster(cluster.meta.version, cluster.spec, Rotations(root_key=key))
    assert await world.control.get_cluster() == cluster
