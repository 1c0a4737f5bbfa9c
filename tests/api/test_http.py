"""The API below the docker command: statuses, errors, limits, what a hostile or careless client may do."""

import asyncio
import json
import re
from dataclasses import replace

import aiohttp
import pytest

from core import errors
from core.model import Role
from pyswarm.engineapi.app import make_app
from pyswarm.engineapi.handlers.engine import NOUNS
from pyswarm.engineapi.ports import InitRequest
from pyswarm.engineapi.request import MAX_BODY
from tests.support.fake_node import FakeNode

BASE = "http://docker/v1.44"
SPEC = {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}}}
PUBLIC = {"/_ping", "/version", "/info", "/swarm/init", "/swarm/join", "/swarm/leave", "/swarm/unlock", "/networks"}
PUBLIC |= {"/networks/{ref}", "/networks/create", "/events", "/secrets/create", "/configs/create", "/pyswarm/restore"}
ELSEWHERE = tuple(f"/{noun}" for noun in NOUNS)


@pytest.fixture
async def manager(node: FakeNode) -> FakeNode:
    await node.init(InitRequest())
    return node


def paths() -> list[tuple[str, str]]:
    """Every method and path that is served, without a version in front."""
    routes = [(route.method, route.resource.canonical) for route in make_app(FakeNode()).router.routes()]
    return [(method, path) for method, path in routes if not path.startswith("/v{")]


def example(path: str) -> str:
    return "http://docker" + re.sub(r"\{.*?\}", "x", path)


async def refusal(response: aiohttp.ClientResponse) -> str:
    """The message of an error, which must be typed exactly as the docker command wants it."""
    assert response.headers["Content-Type"] == "application/json"
    body = json.loads(await response.read())
    assert list(body) == ["message"]
    return body["message"]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("prefix", ["", "/v1.24", "/v1.41", "/v1.50"])
async def test_ping_tells_the_version_with_and_without_one_in_the_path(session, method, prefix):
    async with session.request(method, f"http://docker{prefix}/_ping") as response:
        assert response.status == 200
        assert response.headers["Api-Version"] == "1.46"
        assert response.headers["Ostype"] == "linux"
        assert "Swarm" not in response.headers


@pytest.mark.parametrize(
    ("version", "word"), [("1.23", "too old"), ("0.9", "too old"), ("1.51", "too new"), ("2.0", "too new")]
)
async def test_a_version_that_is_not_spoken_is_refused(session, version, word):
    async with session.get(f"http://docker/v{version}/info") as response:
        assert response.status == 400
        assert word in await refusal(response)


@pytest.mark.parametrize("path", ["/nosuch", "/v1.44/nosuch", "/v1.44/system/prune", "/vx/info", "/services/a/b/c"])
async def test_a_path_that_is_not_served_says_so(session, path):
    async with session.get(f"http://docker{path}") as response:
        assert response.status == 404
        assert "is not part of Docker's API that pyswarm serves" in await refusal(response)


async def test_a_method_that_is_not_served_says_so(session):
    async with session.put(f"{BASE}/info") as response:
        assert response.status == 405
        assert "PUT /v1.44/info" in await refusal(response)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (errors.InvalidArgument("m"), 400, "rpc error: code = InvalidArgument desc = m"),
        (errors.FailedPrecondition("m"), 400, "rpc error: code = FailedPrecondition desc = m"),
        (errors.NotFound("service x not found"), 404, "service x not found"),
        (errors.AlreadyExists("m"), 409, "rpc error: code = AlreadyExists desc = m"),
        (errors.OutOfSequence(), 500, "rpc error: code = Unknown desc = update out of sequence"),
        (errors.PermissionDenied("m"), 403, "rpc error: code = PermissionDenied desc = m"),
        (errors.Unauthenticated("m"), 401, "m"),
        (errors.ResourceExhausted("m"), 413, "m"),
        (errors.NotLeader(), 503, "the cluster has no leader"),
        (errors.DeadlineExceeded("m"), 504, "m"),
        (errors.UnknownOutcome("m"), 500, "m"),
        (errors.Internal("m"), 500, "m"),
    ],
)
async def test_the_clusters_errors_have_dockers_status_and_words(session, manager, error, status, message):
    manager.cluster.error = error
    async with session.get(f"{BASE}/services/x") as response:
        assert response.status == status
        assert await refusal(response) == message


async def test_a_fault_of_ours_tells_no_more_than_that(session, manager):
    manager.cluster.error = RuntimeError("the key is hunter2")
    async with session.get(f"{BASE}/nodes") as response:
        assert response.status == 500
        assert await refusal(response) == "internal error: the daemon's log says more"


async def test_a_stale_version_is_refused_in_the_words_that_clients_match_on(session, manager):
    async with session.post(f"{BASE}/services/create", json=SPEC) as response:
        assert response.status == 201
        service_id = (await response.json())["ID"]
    async with session.post(f"{BASE}/services/{service_id}/update?version=1", json=SPEC) as response:
        assert response.status == 500
        assert await refusal(response) == "rpc error: code = Unknown desc = update out of sequence"


@pytest.mark.parametrize(
    "query", ["", "?version=", "?version=x", "?version=-1", "?version=1.5", f"?version={2**64}", "?version=٣"]
)
@pytest.mark.parametrize("path", ["services/x/update", "nodes/x/update", "swarm/update"])
async def test_an_update_must_name_the_version_that_was_read(session, manager, path, query):
    async with session.post(f"{BASE}/{path}{query}", json={}) as response:
        assert response.status == 400
        assert "version" in await refusal(response)


HOSTILE_BODIES = [
    b"",
    b"{",
    b"nul",
    b"null",
    b"[]",
    b'"x"',
    b"1",
    b"\xff\xfe\xfd",
    b'{"Name": "\\ud800"}',
    b'{"Name": NaN}',
    b'{"Spec": ' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    b'{"a":' * 50_000,
]


@pytest.mark.parametrize("path", [path for method, path in paths() if method == "POST" and "leave" not in path])
async def test_no_body_is_a_crash(session, manager, path):
    for body in HOSTILE_BODIES:
        async with session.post(example(path) + "?version=1", data=body) as response:
            assert response.status != 500, body[:40]
            assert 400 <= response.status <= 503, body[:40]
            assert await refusal(response)


async def test_a_body_that_is_too_large_is_refused(session, manager):
    async with session.post(f"{BASE}/services/create", data=b" " * (MAX_BODY + 1)) as response:
        assert response.status == 413
        await refusal(response)


@pytest.mark.parametrize(
    ("method", "path"), [item for item in paths() if item[1] not in PUBLIC and not item[1].startswith(ELSEWHERE)]
)
async def test_a_worker_refuses_whatever_concerns_the_cluster(session, method, path):
    async with session.request(method, example(path) + "?stdout=1&version=1", json=SPEC) as response:
        assert response.status == 503
        assert (await refusal(response)).startswith("This node is not a swarm manager.")


@pytest.mark.parametrize("filters", ['{"name":{"web":true,"x":false}}', '{"name":["web"]}'])
async def test_filters_come_in_two_forms(session, manager, filters):
    for name in ("web", "x"):
        async with session.post(f"{BASE}/services/create", json={**SPEC, "Name": name}) as response:
            assert response.status == 201
    async with session.get(f"{BASE}/services", params={"filters": filters}) as response:
        assert [service["Spec"]["Name"] for service in await response.json()] == ["web"]


@pytest.mark.parametrize(
    "filters", ["x", "[]", '{"name": 1}', '{"name": [1]}', '{"name": {"a": 1}}', '{"nosuch": ["a"]}']
)
async def test_filters_that_make_no_sense_are_refused(session, manager, filters):
    async with session.get(f"{BASE}/services", params={"filters": filters}) as response:
        assert response.status == 400
        assert "filter" in await refusal(response)


@pytest.mark.parametrize(
    ("header", "status"), [("", 201), ("e30=", 201), ("e30", 400), ("eyJ1c2VybmFtZSI6ImEifQ==", 201), ("!", 400)]
)
async def test_credentials_that_are_none_are_refused(session, manager, header, status):
    async with session.post(f"{BASE}/services/create", json=SPEC, headers={"X-Registry-Auth": header}) as response:
        assert response.status == status


@pytest.mark.parametrize("query", ["registryAuthFrom=x", "rollback=x"])
async def test_an_unknown_way_to_update_is_refused(session, manager, query):
    await manager.cluster.run("web")
    async with session.post(f"{BASE}/services/web/update?version=1&{query}", json=SPEC) as response:
        assert response.status == 400
        await refusal(response)


async def test_info_warns_of_what_this_node_cannot_do(session, manager):
    manager.local = replace(manager.local, warnings=("port 80 cannot be served",))
    async with session.get(f"{BASE}/info") as response:
        info = await response.json()
    assert "WARNING: port 80 cannot be served" in info["Warnings"]
    assert (info["Swarm"]["LocalNodeState"], info["Swarm"]["Error"]) == ("active", "")


async def test_info_answers_without_engine_and_without_leader(session, manager):
    manager.engine = {}
    manager.cluster.error = errors.NoQuorum(1, 3)
    async with session.get(f"{BASE}/info") as response:
        info = await response.json()
    assert info["Swarm"]["LocalNodeState"] == "active"
    assert "lost its quorum" in info["Swarm"]["Error"]
    assert "does not answer" in info["Warnings"][0]


async def test_info_warns_before_the_last_failure_that_can_be_borne(session, manager):
    lost = await manager.cluster.add_node("lost", Role.MANAGER)
    await manager.cluster.add_node("other", Role.MANAGER)
    manager.cluster.unreachable.add(lost.id)
    async with session.get(f"{BASE}/info") as response:
        info = await response.json()
    assert info["Warnings"] == info["Swarm"]["Warnings"]
    assert info["Warnings"][0].startswith("WARNING: 2 of 3 managers can be reached: one more failure stops all changes")


async def test_info_shows_no_join_token(session, manager):
    async with session.get(f"{BASE}/info") as response:
        assert "SWMTKN" not in await response.text()


@pytest.mark.parametrize(
    "body",
    [
        {"DefaultAddrPool": ["10.0.0.0/8"]},
        {"SubnetSize": 25},
        {"DataPathPort": 4790},
        {"DataPathAddr": "10.0.0.1"},
        {"Spec": {"CAConfig": {"ExternalCAs": [{"URL": "x"}]}}},
        {"Spec": {"Raft": {"ElectionTick": 3}}},
    ],
)
async def test_what_a_cluster_can_not_do_yet_is_refused_at_init(session, node, body):
    async with session.post(f"{BASE}/swarm/init", json=body) as response:
        assert response.status == 400
        await refusal(response)
    assert node.asked == []


async def test_a_manager_that_is_not_locked_says_so(session, manager):
    async with session.post(f"{BASE}/swarm/unlock", json={"UnlockKey": "x"}) as response:
        assert (response.status, await refusal(response)) == (409, "swarm is not locked")


async def test_a_client_that_hangs_up_does_not_stop_a_change_half_way(session, manager):
    asked, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    create = manager.cluster.control.create_service

    async def slow(spec, request_id):
        asked.set()
        await go_on.wait()
        service = await create(spec, request_id)
        done.set()
        return service

    manager.cluster.control.create_service = slow
    request = asyncio.create_task(session.post(f"{BASE}/services/create", json=SPEC))
    await asked.wait()
    request.cancel()
    await asyncio.wait([request])
    async with session.get(f"{BASE}/_ping") as response:  # by now the server has seen the other connection close
        assert response.status == 200
    go_on.set()
    await asyncio.wait_for(done.wait(), 10)
