"""`pyswarm service rebalance`, and the path behind it."""

import pytest

from core.model import UpdateOrder
from tests.support.docker_cli import DockerCli
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import MemoryCluster
from tests.support.pyswarm_cli import PyswarmCli


@pytest.fixture
async def cluster(docker: DockerCli, node: FakeNode) -> MemoryCluster:
    """The four tasks of `web` all lie on the first of two nodes, as the second was away."""
    await docker("swarm", "init", "--advertise-addr", "10.231.0.1")
    await docker("service", "create", "-d", "--name", "web", "--replicas", "4", "busybox")
    await node.cluster.add_node("vm2")
    return node.cluster


@pytest.fixture
def pyswarm(socket_path) -> PyswarmCli:
    return PyswarmCli(socket_path)


async def test_it_waits_until_the_tasks_are_spread(pyswarm, docker, cluster):
    done = await pyswarm("service", "rebalance", "web")
    assert done.lines == ["web", "overall progress: 2 tasks moved", "verify: Service web is spread"]
    assert "Rebalance: State: completed Moved: 2 tasks" in " ".join(
        (await pyswarm("service", "inspect", "--pretty", "web")).lines
    )
    places = (await docker("service", "ps", "--filter", "desired-state=running", "--format", "{{.Node}}", "web")).lines
    assert sorted(places) == ["vm", "vm", "vm2", "vm2"]


async def test_how_tasks_are_moved_can_be_said(pyswarm, cluster):
    done = await pyswarm("service", "rebalance", "-d", "--max-unavailable", "2", "--start-first", "web")
    assert done.lines == ["web"]
    asked = cluster.store.service_by_name("web").rebalance
    assert (asked.max_unavailable, asked.order) == (2, UpdateOrder.START_FIRST)


async def test_the_path_answers_with_how_far_it_is(session, cluster):
    async with session.post("http://docker/pyswarm/services/web/rebalance", json={}) as answer:
        assert answer.status == 200
        asked = await answer.json()
    assert (asked["MaxUnavailable"], asked["Order"], asked["Moved"]) == (1, "stop-first", 2)
    async with session.get("http://docker/services/web") as answer:
        assert (await answer.json())["Rebalance"] == asked


@pytest.mark.parametrize(
    ("body", "reason"),
    [({"MaxUnavailable": 0}, "1 or more"), ({"Order": "sideways"}, "Order"), ({"Parallelism": 1}, "Parallelism")],
)
async def test_what_cannot_be_is_refused(session, cluster, body, reason):
    async with session.post("http://docker/pyswarm/services/web/rebalance", json=body) as answer:
        assert answer.status == 400
        assert reason in (await answer.json())["message"]


async def test_errors_are_shown(pyswarm, cluster):
    refused = await pyswarm.run("service", "rebalance", "nosuch")
    assert (refused.exit, "service nosuch not found" in refused.stderr) == (1, True)
    await pyswarm("service", "create", "-d", "--name", "agent", "--mode", "global", "busybox")
    refused = await pyswarm.run("service", "rebalance", "agent")
    assert (refused.exit, "is not replicated" in refused.stderr) == (1, True)
