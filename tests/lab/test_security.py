"""The root's rotation and autolock on real hosts, with services up and users asking all the time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import PyswarmError
from identity.files import Locked, load
from identity.unlock import parse_unlock_key
from tests.support.lab import Cluster, fetch, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]
_PAGE_SECONDS = 20.0
"""A shared machine may stand still for seconds."""


@pytest.fixture(scope="module")
def web(cluster: Cluster) -> Cluster:
    cluster.serve("web", 5, 8080)
    return cluster


class Asked:
    """What users asked while something went on, and what was not answered."""

    def __init__(self) -> None:
        self.calls = 0
        self.pages = 0
        self.failures: list[str] = []


@contextmanager
def users(web: Cluster) -> Iterator[Asked]:
    """Every manager is asked for nodes and services and told to change one; every host's published port is fetched."""
    asked, ended = Asked(), threading.Event()

    def call(name: str) -> None:
        api = web.api(name)
        while not ended.wait(0.05):
            try:
                assert len(api.get("/nodes")) == 5
                assert len(api.get("/services")) >= 1
                asked.calls += 2
            except (PyswarmError, OSError, AssertionError) as error:
                asked.failures.append(f"{name}: {error!r}")

    def create(name: str) -> None:
        number = 0
        while not ended.wait(0.5):
            number += 1
            spec = {"Name": f"{name}-{number}", "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}}}
            try:
                created = web.api(name).post("/services/create", {**spec, "Mode": {"Replicated": {"Replicas": 0}}})
                web.api(name).delete(f"/services/{created['ID']}")
                asked.calls += 2
            except (PyswarmError, OSError) as error:
                asked.failures.append(f"{name}: {error!r}")

    def visit(name: str) -> None:
        address = web.host(name).address
        while not ended.wait(0.05):
            if fetch(address, 8080, _PAGE_SECONDS):
                asked.pages += 1
            else:
                asked.failures.append(f"no page from {name}")

    managers = [host.name for host in web.hosts if host.name.startswith("m")]
    threads = [threading.Thread(target=work, args=(name,)) for name in managers for work in (call, create)]
    threads += [threading.Thread(target=visit, args=(host.name,)) for host in web.hosts]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def root(web: Cluster) -> str:
    return web.pyswarm("m1", "ca")


def test_CA_06_the_root_is_rotated_under_load_and_nobody_notices(web: Cluster) -> None:
    before, tasks = root(web), {task["ID"] for task in web.running("web")}
    token = web.token("worker")
    with users(web) as asked:
        wait_for("users", lambda: asked.calls > 50 and asked.pages > 50)
        shown = web.pyswarm("m2", "swarm", "ca", "--rotate")
        wait_for("more users", patiently(lambda: asked.calls > 100))
    print(f"{asked.calls} calls, {asked.pages} pages, {len(asked.failures)} failed")
    assert asked.failures == []
    after = root(web)
    assert after != before
    assert shown.endswith(after)
    assert "rotated CA certificates:  5/5 nodes" in shown
    assert {task["ID"] for task in web.running("web")} == tasks
    assert web.pyswarm("m3", "node", "ls", "--format", "{{.TLSStatus}}").split() == ["Ready"] * 5
    assert web.token("worker") != token
    for host in web.hosts:
        assert _pem(web, host.name).read_bytes().endswith(after.encode())


def test_CA_06_a_rotation_waits_for_a_manager_that_is_down_and_ends_when_it_is_back(web: Cluster) -> None:
    before, down = root(web), web.follower()
    other = next(name for name in ("m1", "m2", "m3") if name != down)
    web.stop_daemon(down)
    web.pyswarm(other, "ca", "--rotate", "--detach")
    wait_for("the others have it", patiently(lambda: _certified(web, other) == 4))
    assert web.api(other).get("/swarm")["RootRotationInProgress"]
    web.host(down).start_daemon()
    wait_for("all have it", patiently(lambda: _ready(web, other, "Ready") == 5))
    web.wait_ready(5, other)
    assert web.pyswarm(down, "ca") == web.pyswarm(other, "ca") != before


def test_CA_06_a_node_joins_with_the_new_token_and_the_old_one_is_refused(web: Cluster) -> None:
    old = web.token("worker")
    web.pyswarm("m1", "ca", "--rotate", "-q")
    web.pyswarm("w2", "leave")
    address = f"{web.host('m1').address}:2377"
    refused = web.pyswarm("w2", "join", "--token", "-", address, input=old.encode(), check=False)
    assert "another cluster" in refused
    web.pyswarm("m1", "node", "rm", "--force", "w2")
    web.join("w2", "worker")
    web.wait_ready(5)


def test_CA_08_a_locked_manager_waits_for_its_key_and_then_goes_on(web: Cluster) -> None:
    shown = web.pyswarm("m1", "swarm", "update", "--autolock=true")
    key = web.pyswarm("m1", "unlock-key", "-q").strip()
    assert key in shown
    for manager in ("m1", "m2", "m3"):
        wait_for(f"{manager} locked", lambda manager=manager: _is_locked(web, manager))
    assert not _is_locked(web, "w1")
    name = web.follower()
    containers = web.containers(name)
    other = web.leader()
    web.stop_daemon(name)
    web.host(name).start_daemon()
    wait_for("it says so", lambda: "Swarm: locked" in web.pyswarm(name, "info", check=False))
    assert "needs to be unlocked" in web.pyswarm(name, "node", "ls", check=False)
    assert web.containers(name) == containers, "what runs goes on"
    assert fetch(web.host(name).address, 8080, _PAGE_SECONDS)
    assert "invalid" in web.pyswarm(name, "unlock", input=b"SWMKEY-1-wrong\n", check=False)
    locked_log = web.pyswarm(name, "raft", "check", input=f"{key}\n".encode(), check=False)
    assert "another pyswarm daemon" in locked_log
    web.pyswarm(name, "unlock", input=f"{key}\n".encode())
    web.wait_ready(5, other)
    wait_for("its answer", patiently(lambda: len(web.nodes(name)) == 5))
    log = web.host(name).path("/var/log/pyswarm.log").read_text()
    assert key.removeprefix("SWMKEY-1-") not in log


def test_CA_08_the_log_of_a_stopped_locked_manager_is_read_with_the_key_alone(web: Cluster) -> None:
    key = web.pyswarm("m1", "unlock-key", "--rotate", "-q").strip()
    name = web.follower()
    wait_for("the new key", lambda: _opens(web, name, key))
    web.stop_daemon(name)
    assert "no unlock key" in web.pyswarm(name, "raft", "check", check=False)
    assert "The log is whole." in web.pyswarm(name, "raft", "check", input=f"{key}\n".encode())
    assert "INDEX" in web.pyswarm(name, "raft", "dump", input=f"{key}\n".encode())
    web.host(name).start_daemon()
    wait_for("it is locked", lambda: "Swarm: locked" in web.pyswarm(name, "info", check=False))
    web.pyswarm(name, "unlock", input=f"{key}\n".encode())
    web.wait_ready(5, name)
    web.pyswarm(name, "update", "--autolock=false")
    for manager in ("m1", "m2", "m3"):
        wait_for(f"{manager} in clear", lambda manager=manager: not _is_locked(web, manager))
    web.stop_daemon(name)
    assert "The log is whole." in web.pyswarm(name, "raft", "check")
    web.host(name).start_daemon()
    web.wait_ready(5, name)


def _pem(web: Cluster, name: str) -> Path:
    return Path(web.host(name).path("/var/lib/pyswarm/certificates/node.pem"))


def _is_locked(web: Cluster, name: str) -> bool:
    try:
        load(_pem(web, name).parent)
    except Locked:
        return True
    return False


def _opens(web: Cluster, name: str, key: str) -> bool:
    try:
        keys = load(_pem(web, name).parent, parse_unlock_key(key))
    except Locked:
        return False
    return keys is not None and len(keys.log_keys) == 1


def _certified(web: Cluster, name: str) -> int:
    """How many nodes hold certificates of the newest root."""
    issuer = web.api(name).get("/swarm")["TLSInfo"]["CertIssuerPublicKey"]
    found = [node["Description"]["TLSInfo"].get("CertIssuerPublicKey") for node in web.nodes(name).values()]
    return found.count(issuer)


def _ready(web: Cluster, name: str, status: str) -> int:
    return web.pyswarm(name, "node", "ls", "--format", "{{.TLSStatus}}").splitlines().count(status)
