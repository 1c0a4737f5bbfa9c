"""A follower and its leader, for the tests of a control API that passes calls on."""

from collections.abc import AsyncIterator

import pytest

from manager.control import routed
from tests.support.control_world import ControlWorld
from tests.support.routed_cluster import Cluster, made_cluster


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """Who waits for a leader waits for as long as it takes, unless a test says otherwise."""
    monkeypatch.setattr(routed, "SETTLE", 1e9)
    async with made_cluster() as made:
        yield made


@pytest.fixture
def world(cluster: Cluster) -> ControlWorld:
    return cluster.leaders[0].world
