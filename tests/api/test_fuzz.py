"""Whatever is asked of whatever path: a clear refusal, nothing half done, and what is there can still be shown."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from manager.control.validation.service import MAX_REPLICAS
from pyswarm.engineapi.app import make_app
from pyswarm.engineapi.handlers.engine import NOUNS
from pyswarm.engineapi.ports import InitRequest
from tests.api.test_unknown_keys import CLUSTER, INIT, JOIN, NODE, SERVICE
from tests.support.api_server import serve
from tests.support.fake_node import FakeNode
from tests.unit.engineapi.specs import ANY_JSON, ANY_TEXT, HOSTILE, damaged, every_damage

BASE = "http://docker/v1.44"
SECRET = {"Name": "key", "Labels": {"a": "b"}, "Data": "c2VjcmV0"}
CONFIG = {**SECRET, "Templating": {"Name": "golang"}}
BODIES: dict[str, Any] = {
    "/swarm/init": INIT,
    "/swarm/join": JOIN,
    "/swarm/update": CLUSTER,
    "/swarm/unlock": {"UnlockKey": "SWMKEY-1-x"},
    "/nodes/{ref}/update": NODE,
    "/services/create": SERVICE,
    "/services/{ref}/update": {**SERVICE, "Name": "web"},
    "/pyswarm/services/dry-run": SERVICE,
    "/secrets/create": SECRET,
    "/secrets/{ref}/update": SECRET,
    "/configs/create": CONFIG,
    "/configs/{ref}/update": {**CONFIG, "Name": "motd"},
    "/pyswarm/secrets/{ref}/versions": {"Data": "c2VjcmV0"},
    "/pyswarm/configs/{ref}/versions": {"Data": "c2VjcmV0"},
}
"""A valid one for each path that takes one."""
SHOWN = ("/services?status=true", "/tasks", "/nodes", "/secrets", "/configs", "/swarm", "/info")
MANY = 1000
"""Tasks of one service that are accepted, but of which a cluster in memory would take long to make."""


def routes() -> list[tuple[str, str]]:
    """Every method and path but the engine's."""
    served = [(route.method, route.resource.canonical) for route in make_app(FakeNode()).router.routes()]
    return [(method, path) for method, path in served if not path.startswith(("/v{", *(f"/{noun}" for noun in NOUNS)))]


@dataclass
class World:
    """A manager `vm` and a worker, a service `web`, a secret `key` and a config `motd`."""

    session: aiohttp.ClientSession
    node: FakeNode

    async def ask(self, method: str, target: str, data: bytes | None = None) -> tuple[int, bytes]:
        """Asks, and raises AssertionError unless it is answered as it must be."""
        cluster = self.node.cluster
        before = cluster.store.index if cluster is not None else 0
        url = f"{BASE}{target}"
        async with self.session.request(method, URL(url, encoded=True), data=data) as response:
            body, status = await response.read(), response.status
            kind = response.headers.get("Content-Type")
        asked = f"{method} {target} {data!r}: {status} {body[:300]!r}"
        if status < 400:
            return status, body
        if method != "HEAD":
            said = json.loads(body)
            assert list(said) == ["message"], asked
            assert said["message"], asked
            assert kind == "application/json", asked
            assert status != 500 or said["message"].endswith("update out of sequence"), asked
        assert self.node.cluster is cluster, f"half done: {asked}"
        assert cluster is None or cluster.store.index == before, f"half done: {asked}"
        return status, body

    async def still_shows_everything(self) -> None:
        if self.node.cluster is not None:
            for target in SHOWN:
                status, body = await self.ask("GET", target)
                assert status == 200, (target, body)

    def version_of(self, path: str) -> int:
        cluster = self.node.cluster
        assert cluster is not None
        items = {"services": cluster.store.services, "nodes": cluster.store.nodes}
        items |= {"secrets": cluster.store.secrets, "configs": cluster.store.configs}
        noun = path.split("/")[1]
        return next(iter(items[noun]())).meta.version if noun in items else cluster.cluster.meta.version


@asynccontextmanager
async def world(*, manager: bool = True) -> AsyncIterator[World]:
    node = FakeNode()
    with TemporaryDirectory() as folder:
        async with serve(node, Path(folder) / "api.sock") as session:
            made = World(session, node)
            if manager:
                await node.init(InitRequest())
                assert node.cluster is not None
                await node.cluster.add_node("vm2")
                await node.cluster.run("web")
                for noun, body in (("secrets", SECRET), ("configs", {**CONFIG, "Name": "motd"})):
                    assert (await made.ask("POST", f"/{noun}/create", json.dumps(body).encode()))[0] == 201
            yield made


def example(path: str) -> str:
    """`path` with the name of something that is there."""
    names = {"services": "web", "nodes": "vm", "secrets": "key", "configs": "motd", "tasks": "t", "networks": "ingress"}
    noun = next((part for part in path.split("/") if part in names), "")
    return path.replace("{ref}", names.get(noun, "x"))


def too_many(body: Any) -> bool:
    counts = ("Replicas", "MaxConcurrent", "TotalCompletions")
    found = [item for key, item in _members(body) if key.lower() in map(str.lower, counts)]
    return any(isinstance(item, int) and MANY < item <= MAX_REPLICAS for item in found)


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield str(key), item
        yield from _members(item)


@pytest.mark.parametrize("path", BODIES)
async def test_every_member_of_every_body_may_be_wrong(path: str) -> None:
    """Each in turn is replaced by each of many hostile values. What is accepted begins with a new cluster."""
    entering = path in ("/swarm/init", "/swarm/join")
    bodies = [body for body in [BODIES[path], *every_damage(BODIES[path])] if not too_many(body)]
    answers: set[int] = set()
    while bodies:
        async with world(manager=not entering) as made:
            while bodies:
                query = "" if "create" in path or entering else f"?version={made.version_of(path)}"
                status, _ = await made.ask("POST", example(path) + query, json.dumps(bodies.pop()).encode())
                answers.add(status)
                if status < 400:
                    await made.still_shows_everything()
                    break
    assert answers & {200, 201, 409}, "the body itself is accepted"
    assert 400 in answers


LISTS = ("/services", "/nodes", "/tasks", "/secrets", "/configs", "/networks", "/events?until=1")
FILTER_KEYS = """
    id name names label node.label mode runtime role membership service node desired-state _up-to-date type scope event
    secret config driver dangling container nosuch
""".split()  # noqa: SIM905


@pytest.mark.parametrize("path", LISTS)
async def test_every_filter_may_be_wrong(path: str) -> None:
    async with world() as made:
        for key in FILTER_KEYS:
            for hostile in HOSTILE:
                for values in (hostile, [hostile], {"x": hostile}, {str(hostile): True}):
                    filters = _quoted(json.dumps({key: values}))
                    await made.ask("GET", f"{path}{'&' if '?' in path else '?'}filters={filters}")


VALUES = ANY_TEXT | st.sampled_from(
    ["", "1", "true", "all", "-1", "1.5", "999999999999999999999", "{}", "[]", "previous"]
)
FILTERS = (
    st.dictionaries(
        st.sampled_from(["name", "id", "label", "mode", "role", "node", "service", "desired-state", "type"]) | ANY_TEXT,
        st.lists(ANY_TEXT, max_size=2) | st.dictionaries(ANY_TEXT, st.booleans(), max_size=2) | ANY_JSON,
        max_size=2,
    )
    | ANY_JSON
).map(json.dumps)
KEYS = """
    version status insertDefaults rollback registryAuthFrom force since until tail follow stdout stderr timestamps
    details scope rotateWorkerToken rotateManagerToken rotateManagerUnlockKey listenAddr advertiseAddr
""".split()  # noqa: SIM905
QUERIES = st.tuples(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3), st.none() | FILTERS | ANY_TEXT)
REFS = st.sampled_from(["web", "vm", "key", "motd", "ingress", "..", "a/b", "%00", "x" * 300]) | ANY_TEXT.filter(bool)


def target_of(path: str, ref: str, query: tuple[dict[str, str], str | None]) -> str:
    values, filters = query
    pairs = {**values, **({"filters": filters} if filters is not None else {})}
    if path == "/events":
        pairs["until"] = "1"  # or it goes on for ever
    encoded = "&".join(f"{key}={_quoted(value)}" for key, value in pairs.items())
    return f"{re.sub(r'{ref}', lambda match: _quoted(ref), path)}?{encoded}"


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@given(st.data())
@settings(max_examples=100)
async def test_nothing_that_is_asked_is_a_crash(data: st.DataObject) -> None:
    async with world(manager=data.draw(st.booleans())) as made:
        for _ in range(5):
            method, path = data.draw(st.sampled_from(routes()))
            body = data.draw(
                st.none()
                | (damaged(BODIES[path]) if path in BODIES else ANY_JSON).filter(lambda body: not too_many(body))
                | st.binary(max_size=20)
            )
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            await made.ask(method, target_of(path, data.draw(REFS), data.draw(QUERIES)), sent)
        await made.still_shows_everything()
