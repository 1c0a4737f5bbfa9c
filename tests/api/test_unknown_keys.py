"""A key that pyswarm does not know is refused wherever it stands, by its whole name; nothing is made or changed."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from pyswarm.engineapi.ports import InitRequest
from tests.support.fake_node import FakeNode

BASE = "http://docker/v1.44"
UNKNOWN = "Frobnicate"
MAPS = {"Labels", "Options", "Sysctls"}
"""Whose keys are the user's own."""
SERVICE: dict[str, Any] = {
    "Name": "web",
    "Labels": {"a": "b"},
    "TaskTemplate": {
        "ContainerSpec": {
            "Image": "busybox",
            "Labels": {"a": "b"},
            "Mounts": [
                {"Type": "bind", "Source": "/a", "Target": "/b", "BindOptions": {"Propagation": "rprivate"}},
                {
                    "Type": "volume",
                    "Source": "v",
                    "Target": "/v",
                    "VolumeOptions": {"Labels": {"a": "b"}, "DriverConfig": {"Name": "local", "Options": {"a": "b"}}},
                },
                {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 4096}},
            ],
            "Healthcheck": {"Test": ["CMD", "true"]},
            "DNSConfig": {"Nameservers": ["10.0.0.53"]},
            "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
            "Sysctls": {"net.core.somaxconn": "1024"},
        },
        "Resources": {
            "Limits": {"NanoCPUs": 10**9},
            "Reservations": {
                "NanoCPUs": 10**8,
                "GenericResources": [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 1}}],
            },
        },
        "RestartPolicy": {"Condition": "any"},
        "Placement": {
            "Constraints": [],
            "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}],
            "Platforms": [{"OS": "linux", "Architecture": "x86_64"}],
        },
        "LogDriver": {"Name": "json-file", "Options": {"max-size": "1m"}},
    },
    "Mode": {"Replicated": {"Replicas": 1}},
    "UpdateConfig": {"Parallelism": 1},
    "RollbackConfig": {"Parallelism": 1},
    "EndpointSpec": {"Mode": "vip", "Ports": [{"TargetPort": 80, "PublishedPort": 8080}]},
}
CLUSTER: dict[str, Any] = {
    "Labels": {"a": "b"},
    "Orchestration": {"TaskHistoryRetentionLimit": 5},
    "Raft": {"SnapshotInterval": 10000},
    "Dispatcher": {"HeartbeatPeriod": 10**9},
    "CAConfig": {"NodeCertExpiry": 7776 * 10**12},
    "TaskDefaults": {"LogDriver": {"Name": "json-file", "Options": {"max-size": "1m"}}},
}
NODE: dict[str, Any] = {"Labels": {"a": "b"}, "Role": "manager", "Availability": "active"}
INIT: dict[str, Any] = {"ListenAddr": "0.0.0.0:2377", "Spec": CLUSTER}
JOIN: dict[str, Any] = {"RemoteAddrs": ["10.0.0.1:2377"], "JoinToken": "x"}

Place = tuple[str | int, ...]


def objects(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where an object lies in `value` whose keys are not the user's own."""
    if isinstance(value, dict) and (not place or place[-1] not in MAPS):
        yield place
        for key, item in value.items():
            yield from objects(item, (*place, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from objects(item, (*place, number))


def with_unknown(body: dict[str, Any], place: Place) -> tuple[dict[str, Any], str]:
    """`body` with a key that nobody knows at `place`, and the key's whole name."""
    changed = copy.deepcopy(body)
    target: Any = changed
    name = ""
    for step in place:
        target = target[step]
        name += f"[{step}]" if isinstance(step, int) else f".{step}"
    target[UNKNOWN] = {"deep": [1]}
    return changed, f"{name}.{UNKNOWN}".removeprefix(".")


def every(path: str, body: dict[str, Any]) -> list[Any]:
    return [pytest.param(path, body, place, id="-".join([path, *map(str, place)])) for place in objects(body)]


@pytest.fixture
async def manager(node: FakeNode) -> FakeNode:
    await node.init(InitRequest())
    return node


@pytest.mark.parametrize(("path", "body", "place"), [*every("swarm/init", INIT), *every("swarm/join", JOIN)])
async def test_of_a_node_that_is_to_come_in(session, node, path, body, place):
    changed, name = with_unknown(body, place)
    async with session.post(f"{BASE}/{path}", json=changed) as response:
        said = await response.json()
    assert (response.status, said["message"]) == (400, f"{name} is not supported by pyswarm yet")
    assert node.asked == []
    async with session.post(f"{BASE}/{path}", json=body) as response:
        assert response.status == 200, "it is the key"


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [*every("services/create", SERVICE), *every("swarm/update", CLUSTER), *every("nodes/self/update", NODE)],
)
async def test_of_a_change(session, manager, path, body, place):
    cluster, node_id = manager.cluster, manager.local.node_id
    index, changing = cluster.store.index, cluster.nodes[node_id] if "nodes" in path else cluster.cluster
    query = "" if path.endswith("create") else f"?version={changing.meta.version}"
    path = path.replace("self", node_id)
    changed, name = with_unknown(body, place)
    async with session.post(f"{BASE}/{path}{query}", json=changed) as response:
        said = await response.json()
    assert (response.status, said["message"]) == (400, f"{name} is not supported by pyswarm yet")
    assert cluster.store.index == index
    async with session.post(f"{BASE}/{path}{query}", json=body) as response:
        assert response.status in (200, 201), "it is the key"


async def test_of_a_service_that_is_updated(session, manager):
    service = await manager.cluster.run("web")
    query = f"?version={manager.cluster.services[service.id].meta.version}"
    for place in objects(SERVICE):
        changed, name = with_unknown(SERVICE, place)
        async with session.post(f"{BASE}/services/web/update{query}", json=changed) as response:
            assert (await response.json())["message"] == f"{name} is not supported by pyswarm yet"
    assert manager.cluster.services[service.id].spec.labels == {}
