"""What `explain` and `--dry-run` print, and what is on the socket."""

import json
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from core.clock import SECOND
from core.model import Availability, NodeSpec, TaskState, TaskStatus
from manager.store import Transaction
from pyswarm.engineapi.ports import InitRequest
from tests.support.fake_engine import FakeEngine
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import MemoryCluster
from tests.support.pyswarm_cli import PyswarmCli


@pytest.fixture
async def cluster(node: FakeNode) -> MemoryCluster:
    """A manager `vm`, and `vm2`, which is drained."""
    await node.init(InitRequest())
    await node.cluster.add_node("vm2")

    def drain(tx) -> None:
        found = next(node for node in tx.nodes() if node.description.hostname == "vm2")
        tx.update(replace(found, spec=NodeSpec(availability=Availability.DRAIN)))

    await node.cluster.write(drain)
    return node.cluster


@pytest.fixture
def pyswarm(session: aiohttp.ClientSession, socket_path: Path) -> PyswarmCli:
    return PyswarmCli(socket_path)


async def test_a_dry_run_says_where_tasks_would_go_and_makes_nothing(pyswarm: PyswarmCli, cluster: MemoryCluster):
    shown = await pyswarm("service", "create", "--dry-run", "--name", "web", "--replicas", "3", "nginx")
    assert [line.split(maxsplit=2) for line in shown.stdout.splitlines()] == [
        ["no", "task", "of web would wait for a node"],
        [],
        ["NODE", "TASKS", "VERDICT"],
        ["vm", "3", "gets 3"],
        ["vm2", "0", "its availability is drain: pyswarm node update --availability active vm2"],
    ]
    assert list(cluster.store.services()) == []


async def test_a_dry_run_knows_the_platforms_of_the_image(
    pyswarm: PyswarmCli, cluster: MemoryCluster, engine: FakeEngine
):
    told = {"Descriptor": {"digest": f"sha256:{'0' * 64}"}, "Platforms": [{"architecture": "s390x", "os": "linux"}]}
    engine.answers["/distribution/nginx:latest/json"] = told
    shown = await pyswarm("service", "create", "--dry-run", "--name", "web", "nginx")
    assert shown.stdout.startswith("1 of 1 task of web would wait for a node: no suitable node (")
    assert "runs linux/amd64, the image is for linux/s390x: " in shown.stdout
    shown = await pyswarm("service", "create", "--dry-run", "--no-resolve-image", "--name", "web", "nginx")
    assert shown.stdout.startswith("no task of web would wait for a node")


async def test_a_dry_run_that_cannot_be_says_why(pyswarm: PyswarmCli, cluster: MemoryCluster):
    refused = await pyswarm.run("service", "create", "--dry-run", "--constraint", "nonsense", "nginx")
    assert refused.exit != 0
    assert "invalid constraint" in refused.stderr
    shown = await pyswarm("service", "create", "--dry-run", "--name", "web", "--reserve-cpu", "100", "nginx")
    assert shown.stdout.startswith("1 of 1 task of web would wait for a node: no suitable node (")
    assert "more CPUs; " in shown.stdout


async def test_a_service_and_a_task_are_explained(pyswarm: PyswarmCli, cluster: MemoryCluster):
    await pyswarm("service", "create", "--detach", "--name", "web", "--constraint", "node.labels.zone==a", "nginx")
    (task_id,) = cluster.tasks
    label = "label zone is not set, constraint wants a: pyswarm node update --label-add zone=a"
    for command in (["service", "explain", "web"], ["task", "explain", task_id]):
        shown = (await pyswarm(*command)).stdout
        assert f"{label} vm\n" in shown
        assert f"{label} vm2\n" in shown
        assert "its availability is drain" in shown
    found = json.loads((await pyswarm("service", "explain", "--format", "json", "web")).stdout)
    assert found["Waiting"] == 1
    assert [item["Filter"] for item in found["Nodes"][1]["Objections"]] == ["ready", "constraints"]


async def test_tasks_that_fail_again_and_again_are_explained(pyswarm: PyswarmCli, cluster: MemoryCluster):
    service = await cluster.run("web")
    (task_id,) = cluster.tasks
    cluster.clock.advance(SECOND)  # its replacement is made later than it

    def reject(tx: Transaction) -> None:
        status = TaskStatus(cluster.clock.now(), TaskState.REJECTED, "preparing", "image busybox cannot be pulled")
        tx.update(replace(tx.task(task_id), status=status))

    await cluster.write(reject)
    trouble = "1 task rejected in the last 5s: image busybox cannot be pulled"
    advice = "if the image has another name: pyswarm service update --image NAME web; if its registry wants a login: "
    summary, _, _, willing, reason, *_ = (await pyswarm("service", "explain", "web")).stdout.splitlines()
    assert summary == f"no task of web waits for a node; {trouble}"
    assert willing.split(maxsplit=2)[2] == "can take one"
    assert reason.strip().startswith(f"{trouble}: {advice}")
    found = json.loads((await pyswarm("service", "explain", "--format", "json", service.id)).stdout)
    assert found["Nodes"][0]["Failures"].startswith(trouble)
    assert "Failures" not in found["Nodes"][1]


async def test_what_is_not_there_is_said(pyswarm: PyswarmCli, cluster: MemoryCluster):
    for noun in ("service", "task"):
        refused = await pyswarm.run(noun, "explain", "nothing")
        assert refused.exit == 1
        assert f"{noun} nothing not found" in refused.stderr


async def test_on_the_socket(session: aiohttp.ClientSession, cluster: MemoryCluster):
    spec = {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "nginx"}}}
    async with session.post("http://socket/pyswarm/services/dry-run", json=spec) as response:
        answer = await response.json()
    assert response.status == 200
    assert answer["ServiceName"] == "web"
    assert answer["Nodes"][0] == {"ID": answer["Nodes"][0]["ID"], "Hostname": "vm", "Planned": 1, "Objections": []}
    async with session.post("http://socket/pyswarm/services/dry-run", json={"Name": "web"}) as response:
        assert response.status == 400
    async with session.get("http://socket/pyswarm/tasks/nothing/explain") as response:
        assert response.status == 404
