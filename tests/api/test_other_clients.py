"""docker-py and aiodocker drive the API as they are."""

import asyncio
from contextlib import closing

import aiodocker
import docker as docker_py
import pytest
from docker.errors import APIError, NotFound
from docker.types import (
    ConfigReference,
    EndpointSpec,
    Mount,
    Resources,
    RestartPolicy,
    SecretReference,
    ServiceMode,
    UpdateConfig,
)

from core.model import LogLine, MountType, Role, UpdateOrder
from core.model import ServiceMode as Mode
from pyswarm.engineapi.ports import InitRequest
from tests.support.fake_node import FakeNode
from tests.support.waiting import eventually


@pytest.fixture
async def manager(node: FakeNode) -> FakeNode:
    await node.init(InitRequest())
    await node.cluster.add_node("vm2")
    return node


@pytest.fixture
def with_docker_py(session, socket_path):
    """Runs a function of a docker-py client in a thread: the server answers on this one."""

    def run(story):
        with closing(docker_py.DockerClient(base_url=f"unix://{socket_path}")) as client:
            story(client)

    return lambda story: asyncio.to_thread(run, story)


async def test_docker_py_forms_a_cluster(with_docker_py, node):
    def story(client):
        assert client.swarm.init(advertise_addr="eth0", task_history_retention_limit=3) == node.local.node_id
        cluster = node.cluster
        assert cluster.cluster.spec.task_history_limit == 3
        swarm = client.swarm
        before = cluster.cluster.root_ca.worker_token
        assert swarm.attrs["JoinTokens"]["Worker"] == before
        assert swarm.update(rotate_worker_token=True, task_history_retention_limit=4)
        assert cluster.cluster.root_ca.worker_token != before
        assert cluster.cluster.spec.task_history_limit == 4
        assert swarm.leave(force=True)

    await with_docker_py(story)
    assert node.cluster is None


async def test_docker_py_runs_a_service(with_docker_py, manager):
    def story(client):
        service = client.services.create(
            "busybox",
            ["sleep", "1000"],
            name="web",
            env=["A=1"],
            mode=ServiceMode("replicated", replicas=2),
            mounts=[Mount("/data", "vol1", type="volume")],
            resources=Resources(cpu_limit=10**9, mem_reservation=2**25),
            restart_policy=RestartPolicy("on-failure", delay=3 * 10**9),
            update_config=UpdateConfig(parallelism=2, order="start-first", failure_action="pause"),
            endpoint_spec=EndpointSpec(ports={8080: 80}),
        )
        spec = manager.cluster.services[service.id].spec
        assert (spec.mode, spec.replicas, spec.update.order) == (Mode.REPLICATED, 2, UpdateOrder.START_FIRST)
        assert spec.task.container.mounts[0].type is MountType.VOLUME
        assert spec.endpoint.ports[0].published_port == 8080

        assert service.scale(3)
        service.reload()
        assert service.update(labels={"a": "b"})
        (found,) = client.services.list(filters={"name": "web"}, status=True)
        assert found.attrs["Spec"]["Labels"] == {"a": "b"}
        assert found.attrs["ServiceStatus"]["RunningTasks"] == len(found.tasks({"desired-state": "running"}))
        task = next(iter(manager.cluster.tasks.values()))
        manager.cluster.lines = [LogLine(task.service_id, task.node_id, task.id, 0, False, b"hello\n")]
        assert b"".join(found.logs(stdout=True)) == b"hello\n"
        assert found.remove()
        with pytest.raises(NotFound, match="service web not found"):
            client.services.get("web")

    await with_docker_py(story)


async def test_docker_py_makes_a_global_service(with_docker_py, manager):
    await with_docker_py(lambda client: client.services.create("busybox", name="agent", mode=ServiceMode("global")))
    (service,) = manager.cluster.services.values()
    assert service.spec.mode is Mode.GLOBAL


async def test_docker_py_manages_nodes(with_docker_py, manager):
    def story(client):
        (worker,) = client.nodes.list(filters={"role": "worker"})
        assert worker.update({"Role": "manager", "Availability": "active", "Labels": {"a": "b"}})
        assert manager.cluster.nodes[worker.id].spec.role is Role.MANAGER
        with pytest.raises(APIError, match="must be demoted"):
            client.api.remove_node(worker.id, force=True)

    await with_docker_py(story)


async def test_docker_py_keeps_secrets_and_configs(with_docker_py, manager):
    def story(client):
        secret = client.secrets.create(name="key", data=b"s3cret", labels={"a": "b"})
        config = client.configs.create(name="motd", data=b"hello", labels={"c": "d"})
        with pytest.raises(APIError, match="already exists"):
            client.secrets.create(name="key", data=b"other")
        assert [found.name for found in client.secrets.list(filters={"name": "key"})] == ["key"]
        assert client.secrets.get(secret.id).attrs["Spec"] == {"Name": "key", "Labels": {"a": "b"}}
        assert client.configs.get(config.id).attrs["Spec"]["Data"] == "aGVsbG8="
        service = client.services.create(
            "busybox",
            name="web",
            secrets=[SecretReference(secret.id, "key", filename="k", mode=0o400)],
            configs=[ConfigReference(config.id, "motd", filename="/etc/motd")],
        )
        container = manager.cluster.services[service.id].spec.task.container
        assert [reference.secret_id for reference in container.secrets] == [secret.id]
        assert [reference.config_id for reference in container.configs] == [config.id]
        with pytest.raises(APIError, match="in use"):
            secret.remove()
        assert service.remove()
        assert secret.remove()
        assert config.remove()
        with pytest.raises(NotFound, match=r"secret .* not found"):
            client.secrets.get(secret.id)

    await with_docker_py(story)


async def test_docker_py_locks_managers(with_docker_py, manager):
    def story(client):
        assert client.swarm.update(autolock_managers=True)
        key = client.swarm.get_unlock_key()["UnlockKey"]
        assert key.startswith("SWMKEY-1-")
        assert client.swarm.update(autolock_managers=False)

    await with_docker_py(story)


async def test_docker_py_reads_logs_as_they_come(with_docker_py, manager):
    await manager.cluster.run("web", replicas=2)
    manager.cluster.lines = [
        LogLine(task.service_id, task.node_id, task.id, number, number == 2, b"line %d\n" % number)
        for number, task in enumerate(manager.cluster.tasks.values(), 1)
    ]

    def story(client):
        service = client.services.get("web")
        assert list(service.logs(stdout=True, stderr=True, follow=True)) == [b"line 1\n", b"line 2\n"]
        assert b"".join(service.logs(stdout=True, timestamps=True, since=0, tail=5)).startswith(b"1970-01-01T00:00:00")

    await with_docker_py(story)


async def test_docker_py_sees_events(with_docker_py, manager, after_the_cluster):
    await manager.cluster.run("web", replicas=0)

    def story(client):
        past = list(client.events(since=1, until=after_the_cluster, decode=True, filters={"type": "service"}))
        assert [(event["Type"], event["Action"], event["Actor"]["Attributes"]) for event in past] == [
            ("service", "create", {"name": "web"})
        ]
        stream = client.events(decode=True, filters={"type": ["service"], "event": ["create"]})
        client.services.create("busybox", name="db", mode=ServiceMode("replicated", replicas=0))
        event = next(stream)
        assert event["Actor"]["Attributes"] == {"name": "db"}
        assert event["Actor"]["ID"] == client.services.get("db").id
        stream.close()

    await with_docker_py(story)


async def test_docker_py_lists_inspects_and_removes_nodes(with_docker_py, manager):
    def story(client):
        first, second = client.nodes.list()
        assert client.nodes.get(second.id).attrs["Description"]["Hostname"] == "vm2"
        assert first.attrs["ManagerStatus"]["Leader"] is True
        assert second.update({"Role": "worker", "Availability": "drain", "Labels": {"a": "b"}})
        second.reload()
        assert second.attrs["Spec"] == {"Role": "worker", "Availability": "drain", "Labels": {"a": "b"}}
        stale = {"Role": "worker", "Availability": "active"}
        with pytest.raises(APIError, match="update out of sequence"):
            client.api.update_node(second.id, 1, stale)
        assert client.api.remove_node(second.id, force=True)
        with pytest.raises(NotFound, match="not found"):
            client.nodes.get(second.id)

    await with_docker_py(story)


async def test_docker_py_reaches_the_nodes_own_containers(with_docker_py, manager, engine):
    engine.answers = {"/containers/json": [], "/images/json": [], "/volumes": {"Volumes": []}}

    def story(client):
        assert client.containers.list() == []
        assert client.images.list() == []
        assert client.volumes.list() == []
        with pytest.raises(NotFound, match="No such thing"):
            client.containers.get("nosuch")

    await with_docker_py(story)


async def test_aiodocker_follows_events(session, socket_path, manager, engine):
    async with aiodocker.Docker(url=f"unix://{socket_path}") as client:
        events = client.events.subscribe()
        await eventually("the engine is followed, and the cluster before it", lambda: engine.open == 1)
        await manager.cluster.run("web", replicas=0)
        event = await asyncio.wait_for(events.get(), 20)
        assert (event["Type"], event["Action"]) == ("service", "create")
        await client.events.stop()


async def test_aiodocker_reads_and_writes(session, socket_path, manager):
    async with aiodocker.Docker(url=f"unix://{socket_path}") as client:
        created = await client.services.create({"ContainerSpec": {"Image": "busybox"}}, name="web", mode={"Global": {}})
        assert [service["ID"] for service in await client.services.list()] == [created["ID"]]
        assert len(await client.tasks.list(filters={"service": created["ID"]})) == 2
        assert len(await client.nodes.list()) == 2
        assert await client.services.delete("web")


async def test_docker_py_gives_a_service_a_secret_and_a_config(with_docker_py, manager):
    def story(client):
        secret = client.secrets.create(name="password", data=b"hidden", labels={"a": "b"})
        config = client.configs.create(name="settings", data=b"k=v", templating={"name": "golang"})
        assert [found.name for found in client.secrets.list(filters={"name": "pass"})] == ["password"]
        assert client.configs.get("settings").attrs["Spec"]["Templating"] == {"Name": "golang"}
        client.services.create(
            "busybox",
            name="web",
            secrets=[SecretReference(secret.id, "password", uid="5")],
            configs=[ConfigReference(config.id, "settings", filename="/etc/web")],
        )
        (service,) = manager.cluster.services.values()
        container = service.spec.task.container
        assert (container.secrets[0].file.name, container.secrets[0].file.uid) == ("password", "5")
        assert (container.configs[0].file.name, container.configs[0].file.mode) == ("/etc/web", 0o444)
        with pytest.raises(APIError, match="in use by the following service: web"):
            secret.remove()
        client.services.get("web").remove()
        assert secret.remove()
        assert config.remove()
        assert client.configs.list() == []

    await with_docker_py(story)
