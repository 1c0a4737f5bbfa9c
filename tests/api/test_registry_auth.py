"""Credentials for the registry: kept with the service for the nodes, changed only when others come, never shown."""

import base64
import json
from typing import Any

import aiohttp
import pytest

from pyswarm.engineapi.ports import InitRequest
from tests.support.fake_node import FakeNode

BASE = "http://docker/v1.44"
OLD, NEW = (base64.urlsafe_b64encode(json.dumps({"username": name}).encode()).decode() for name in ("old", "new"))


def spec(image: str = "busybox") -> dict[str, Any]:
    return {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": image}}}


@pytest.fixture
async def manager(session: aiohttp.ClientSession, node: FakeNode) -> FakeNode:
    await node.init(InitRequest())
    await create(session, OLD)
    return node


async def create(session: aiohttp.ClientSession, header: str) -> None:
    async with session.post(f"{BASE}/services/create", json=spec(), headers={"X-Registry-Auth": header}) as response:
        assert response.status == 201


async def update(session: aiohttp.ClientSession, node: FakeNode, image: str, header: str = "", query: str = "") -> Any:
    version = node.cluster.store.service_by_name("web").meta.version
    url = f"{BASE}/services/web/update?version={version}{query}"
    async with session.post(url, json=spec(image), headers={"X-Registry-Auth": header} if header else {}) as response:
        return response.status, await response.json()


def held(node: FakeNode) -> str:
    return node.cluster.store.service_by_name("web").spec.task.container.registry_auth


async def test_credentials_stay_until_others_come(session, manager):
    assert held(manager) == OLD
    assert await update(session, manager, "busybox:2") == (200, {"Warnings": None})
    assert held(manager) == OLD
    await update(session, manager, "busybox:3", NEW)
    assert held(manager) == NEW
    await update(session, manager, "busybox:4", query="&registryAuthFrom=spec")
    assert held(manager) == NEW


async def test_credentials_of_the_previous_spec_come_back_if_asked_for(session, manager):
    status, answer = await update(session, manager, "busybox:2", query="&registryAuthFrom=previous-spec")
    assert (status, answer["message"]) == (400, "service does not have a previous spec")
    await update(session, manager, "busybox:2", NEW)
    await update(session, manager, "busybox:3", query="&registryAuthFrom=previous-spec")
    assert held(manager) == OLD


async def test_a_rollback_brings_back_the_credentials_of_its_spec(session, manager):
    await update(session, manager, "busybox:2", NEW)
    await update(session, manager, "", query="&rollback=previous")
    assert held(manager) == OLD


async def test_UPD_02_other_credentials_alone_restart_no_task(session, manager):
    before = set(manager.cluster.tasks)
    await update(session, manager, "busybox", NEW)
    assert held(manager) == NEW
    assert set(manager.cluster.tasks) == before


async def test_credentials_are_in_no_answer_and_no_repr(session, manager):
    await update(session, manager, "busybox:2", NEW)
    for path in ("services", "services/web", "tasks", "services/web?insertDefaults=true"):
        async with session.get(f"{BASE}/{path}") as response:
            text = await response.text()
        assert "busybox" in text
        assert OLD not in text
        assert NEW not in text
    service = manager.cluster.store.service_by_name("web")
    assert OLD not in repr(service)
    assert NEW not in repr(service)


async def test_what_is_wrong_with_credentials_is_said_without_them(session, manager):
    header = base64.urlsafe_b64encode(b"[secret]").decode()
    async with session.post(f"{BASE}/services/create", json=spec(), headers={"X-Registry-Auth": header}) as response:
        said = await response.json()
    assert (response.status, said["message"]) == (400, "X-Registry-Auth is not base64 of a JSON object")
