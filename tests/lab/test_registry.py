"""A service's image out of a registry that asks for a password: pinned to its digest, pulled with the credentials."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.model import Task, TaskState
from tests.support.api_server import serve
from tests.support.docker_cli import DockerCli
from tests.support.engine import PrivateEngine
from tests.support.engine_node import engine, make_task, node
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import MemoryCluster
from tests.support.pyswarm_cli import PyswarmCli
from tests.support.registry import ADDRESS, PASSWORD, USER, credentials, registry

__all__ = ["engine", "node"]
pytestmark = pytest.mark.lab

SLEEP = ("sleep", "1000")


@pytest.fixture(scope="module")
def image(engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(engine, tmp_path_factory.mktemp("registry")) as name:
        yield name


@pytest.fixture
async def socket(engine: PrivateEngine, tmp_path: Path) -> AsyncIterator[tuple[Path, MemoryCluster]]:
    """The API of a manager whose own engine is the one beside the registry; and its cluster."""
    manager = FakeNode()
    manager.engine_url = engine.url
    path = tmp_path / "pyswarm.sock"
    async with serve(manager, path):
        docker = DockerCli(path, tmp_path)
        await docker("swarm", "init", "--advertise-addr", "10.231.0.1")
        yield path, manager.cluster


@pytest.fixture
def login(tmp_path: Path) -> Path:
    """The folder in which `docker login` leaves credentials behind."""
    folder = tmp_path / ".docker"
    folder.mkdir()
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {ADDRESS: {"auth": auth}}}))
    return folder


def forget(engine: PrivateEngine, image: str) -> None:
    """The engine has it no more, by any name; with one of its names others may go."""
    while names := [name for name in image_names(engine) if name.startswith(image.rpartition(":")[0])]:
        engine.request("DELETE", f"/images/{names[0]}?force=1")


def image_names(engine: PrivateEngine) -> list[str]:
    images = engine.request("GET", "/images/json")
    return [name for found in images for name in [*(found["RepoTags"] or ()), *(found["RepoDigests"] or ())]]


async def test_a_task_is_pulled_with_the_credentials_of_its_service_and_not_without(engine, node, image):
    forget(engine, image)
    for given in ("", credentials("wrong")):
        status = await node.run(make_task(*SLEEP, image=image, registry_auth=given))
        assert status.state is TaskState.REJECTED
        assert f"image {image} is not on this node and cannot be pulled" in status.err
        assert not given or given not in status.err
    status = await node.run(make_task(*SLEEP, image=image, registry_auth=credentials()))
    assert status.state is TaskState.RUNNING


@pytest.mark.parametrize("command", ["docker", "pyswarm"])
async def test_a_service_is_pinned_to_the_digest_and_its_nodes_pull_just_that(
    engine, node, image, socket, login, command
):
    path, cluster = socket
    forget(engine, image)
    run = DockerCli(path, login) if command == "docker" else PyswarmCli(path)
    created = await run("service", "create", "--detach", "--with-registry-auth", "--name", "web", image, *SLEEP)
    assert created.stderr == ""
    spec = cluster.store.service_by_name("web").spec
    pinned = spec.task.container.image
    assert pinned.startswith(f"{image}@sha256:")
    assert [(platform.os, platform.architecture) for platform in spec.task.placement.platforms] == [("linux", "amd64")]
    (assigned,) = cluster.tasks.values()
    status = await node.run(replace(assigned, status=make_task().status, desired_state=TaskState.RUNNING))
    assert status.state is TaskState.RUNNING
    assert image_of(engine, assigned) == pinned
    assert credentials_in(engine, assigned) == []


async def test_an_update_of_the_image_is_pinned_too_unless_that_is_not_wanted(image, socket, login):
    path, cluster = socket
    pyswarm = PyswarmCli(path)
    created = await pyswarm("service", "create", "-d", "--no-resolve-image", "--name", "web", "busybox", *SLEEP)
    assert created.stderr == ""
    update = ["service", "update", "-d", "--with-registry-auth", "--image", image]
    await pyswarm(*update, "--no-resolve-image", "web")
    assert cluster.store.service_by_name("web").spec.task.container.image == image
    await pyswarm(*update, "web")
    assert "@sha256:" in cluster.store.service_by_name("web").spec.task.container.image


async def test_without_credentials_the_digest_is_not_told_and_the_user_is_warned(image, socket):
    path, cluster = socket
    created = await PyswarmCli(path)("service", "create", "-d", "--name", "web", image, *SLEEP)
    assert created.stderr.startswith(f"image {image} could not be accessed on a registry to record\nits digest.")
    assert cluster.store.service_by_name("web").spec.task.container.image == image


def image_of(engine: PrivateEngine, task: Task) -> str:
    (container,) = engine.containers(label=[f"io.pyswarm.task={task.id}"])
    return str(engine.request("GET", f"/containers/{container['Id']}/json")["Config"]["Image"])


def credentials_in(engine: PrivateEngine, task: Task) -> list[str]:
    (container,) = engine.containers(label=[f"io.pyswarm.task={task.id}"])
    shown = json.dumps(engine.request("GET", f"/containers/{container['Id']}/json"))
    return [secret for secret in (PASSWORD, task.spec.container.registry_auth) if secret in shown]
