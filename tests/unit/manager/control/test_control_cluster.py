"""The cluster object through the control API."""

from dataclasses import replace

import pytest

from core.errors import FailedPrecondition, InvalidArgument, OutOfSequence
from manager.control import Rotations
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
