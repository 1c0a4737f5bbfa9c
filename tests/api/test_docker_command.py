"""The real docker command drives pyswarm's API, over a cluster in memory."""

import re

import pytest

from core.errors import Unavailable
from core.model import Availability, LogLine, RestartCondition, RestartPolicy, Role
from tests.support.docker_cli import DockerCli
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import START, MemoryCluster
from tests.support.pyswarm_cli import PyswarmCli


@pytest.fixture
async def cluster(docker: DockerCli, node: FakeNode) -> MemoryCluster:
    """A manager `vm` and a worker `vm2`."""
    await docker("swarm", "init", "--advertise-addr", "10.231.0.1")
    await node.cluster.add_node("vm2")
    return node.cluster


async def test_version_names_both_sides(docker):
    lines = (await docker("version")).lines
    assert "Server: pyswarm" in lines
    assert "API version: 1.46 (minimum version 1.24)" in lines


async def test_init_prints_how_to_join_and_can_be_done_once(docker, node):
    first = await docker(
        "swarm", "init", "--advertise-addr", "eth0", "--listen-addr", "0.0.0.0:2400", "--availability=drain"
    )
    node_id = node.local.node_id
    assert f"Swarm initialized: current node ({node_id}) is now a manager." in first.lines
    token = node.cluster.cluster.root_ca.worker_token
    assert f"docker swarm join --token {token} 10.231.0.1:2377" in first.lines
    (asked,) = node.asked
    assert (asked.advertise_addr, asked.listen_addr) == ("eth0", "0.0.0.0:2400")
    assert asked.availability is Availability.DRAIN
    again = await docker.run("swarm", "init")
    assert again.exit == 1
    assert again.stderr.startswith("Error response from daemon: This node is already part of a swarm.")


async def test_cluster_settings_are_set_at_init_and_changed_later(docker, node):
    settings = (
        "--cert-expiry=2000h",
        "--dispatcher-heartbeat=6s",
        "--task-history-limit=6",
        "--snapshot-interval=9000",
        "--max-snapshots=3",
    )
    await docker("swarm", "init", *settings)
    spec = node.cluster.cluster.spec
    assert (spec.node_cert_expiry, spec.heartbeat_period) == (2000 * 3600 * 10**9, 6 * 10**9)
    assert (spec.task_history_limit, spec.snapshot_interval, spec.keep_old_snapshots) == (6, 9000, 3)
    await docker("swarm", "update", "--dispatcher-heartbeat=3s")
    assert node.cluster.cluster.spec.heartbeat_period == 3 * 10**9
    assert node.cluster.cluster.spec.task_history_limit == 6
    assert node.cluster.cluster.spec.keep_old_snapshots == 3
    await docker("swarm", "update", "--max-snapshots=0")
    assert node.cluster.cluster.spec.keep_old_snapshots == 0


async def test_join_tokens_are_shown_and_rotated(docker, cluster):
    quiet = await docker("swarm", "join-token", "-q", "worker")
    assert quiet.stdout.strip() == cluster.cluster.root_ca.worker_token
    before = cluster.cluster.root_ca.manager_token
    rotated = await docker("swarm", "join-token", "--rotate", "manager")
    after = cluster.cluster.root_ca.manager_token
    assert before != after
    assert f"docker swarm join --token {after} 10.231.0.1:2377" in rotated.lines


async def test_join_and_leave(docker, node):
    joined = await docker("swarm", "join", "--token", "SWMTKN-1-a-b", "--advertise-addr", "10.0.0.9", "10.231.0.1:2377")
    assert joined.lines == ["This node joined a swarm as a worker."]
    (asked,) = node.asked
    assert (asked.remote_addrs, asked.join_token, asked.advertise_addr) == (
        ("10.231.0.1:2377",),
        "SWMTKN-1-a-b",
        "10.0.0.9",
    )
    assert "SWMTKN" not in repr(asked)
    left = await docker("swarm", "leave")
    assert left.lines == ["Node left the swarm."]


async def test_a_manager_leaves_only_by_force(docker, cluster):
    refused = await docker.run("swarm", "leave")
    assert refused.exit == 1
    assert "Use `--force` to suppress this message" in refused.stderr
    await docker("swarm", "leave", "--force")


async def test_nodes_are_listed_and_inspected(docker, cluster):
    first, second = cluster.nodes
    assert (await docker("node", "ls")).lines == [
        "ID HOSTNAME STATUS AVAILABILITY MANAGER STATUS ENGINE VERSION",
        f"{first} * vm Ready Active Leader 20.10.24+dfsg1",
        f"{second} vm2 Ready Active 20.10.24+dfsg1",
    ]
    pretty = (await docker("node", "inspect", "--pretty", "self")).lines
    assert f"ID: {first}" in pretty
    assert "Raft Status: Reachable" in pretty
    assert (await docker("node", "ls", "-q", "--filter", "role=worker")).lines == [second]
    missing = await docker.run("node", "inspect", "nosuch")
    assert missing.stderr == "Error response from daemon: node nosuch not found\n"


async def test_nodes_are_updated_promoted_demoted_and_removed(docker, cluster):
    second = cluster.nodes[list(cluster.nodes)[1]].id
    await docker("node", "update", "--availability", "drain", "--label-add", "zone=a", "vm2")
    assert cluster.nodes[second].spec.availability is Availability.DRAIN
    assert cluster.nodes[second].spec.labels == {"zone": "a"}
    assert (await docker("node", "promote", "vm2")).lines == ["Node vm2 promoted to a manager in the swarm."]
    assert cluster.nodes[second].spec.role is Role.MANAGER
    refused = await docker.run("node", "rm", "vm2")
    assert "rpc error: code = FailedPrecondition desc = " in refused.stderr
    assert "must be demoted to worker before removal" in refused.stderr
    assert (await docker("node", "demote", "vm2")).lines == ["Manager vm2 demoted in the swarm."]
    assert (await docker("node", "rm", "--force", "vm2")).lines == ["vm2"]
    assert second not in cluster.nodes


async def test_a_service_is_created_with_every_flag_that_there_is(docker, cluster):
    await docker(
        "service", "create", "--detach", "--name", "full", "--replicas", "2", "--env", "A=1", "--label", "sl=1",
        "--container-label", "cl=2", "--publish", "published=8081,target=80,protocol=tcp,mode=ingress",
        "--publish", "published=8082,target=81,mode=host", "--publish", "82",
        "--constraint", "node.role==manager", "--reserve-cpu", "0.1", "--reserve-memory", "32m", "--limit-cpu", "0.5",
        "--limit-memory", "64m", "--restart-condition", "on-failure", "--restart-delay", "3s",
        "--restart-max-attempts", "5", "--restart-window", "60s", "--stop-grace-period", "7s",
        "--stop-signal", "SIGINT",
        "--mount", "type=volume,source=vol1,target=/data,volume-label=x=y,volume-driver=local",
        "--mount", "type=bind,source=/tmp,target=/hosttmp,readonly",
        "--mount", "type=tmpfs,target=/t,tmpfs-size=1000000,tmpfs-mode=1770",
        "--hostname", "{{.Node.Hostname}}", "--user", "1000:1000", "--workdir", "/data",
        "--update-parallelism", "2", "--update-delay", "2s", "--update-order", "start-first", "--with-registry-auth",
        "busybox", "sleep", "1000",
    )  # fmt: skip
    spec = next(iter(cluster.services.values())).spec
    shown = (await docker("service", "inspect", "--pretty", "full")).lines
    for line in (
        "Replicas: 2", "Constraints: [node.role==manager]", "Parallelism: 2", "Delay: 2s", "Update order: start-first",
        "Image: busybox:latest", "Args: sleep 1000", "Env: A=1", "Dir: /data", "User: 1000:1000", "Type: volume",
        "Type: bind", "Type: tmpfs", "CPU: 0.1", "Memory: 32MiB", "PublishedPort = 8081", "PublishMode = host",
    ):  # fmt: skip
        assert line in shown, line
    assert [(port.published_port, port.target_port) for port in spec.endpoint.ports] == [
        (8081, 80),
        (8082, 81),
        (0, 82),
    ]
    assert spec.task.container.mounts[2].tmpfs.mode == 0o1770
    assert spec.task.restart == RestartPolicy(RestartCondition.ON_FAILURE, 3 * 10**9, 5, 60 * 10**9)
    assert spec.task.container.stop_grace_period == 7 * 10**9


@pytest.mark.parametrize("command", ["docker", "pyswarm"])
async def test_a_misspelt_constraint_is_accepted_with_a_warning(docker, cluster, socket_path, command):
    run = docker if command == "docker" else PyswarmCli(socket_path)
    flags = ("--detach", "--no-resolve-image")
    warning = "constraint node.lables.zone==a has a key that nobody knows (did you mean node.labels.zone?)"
    made = await run("service", "create", *flags, "--name", "web", "--constraint", "node.lables.zone==a", "nginx")
    assert warning in made.stderr
    assert made.stdout.strip() in cluster.services
    updated = await run("service", "update", *flags, "--constraint-add", "node.role==manager", "web")
    assert warning in updated.stderr
    cured = await run("service", "update", *flags, "--constraint-rm", "node.lables.zone==a", "web")
    assert cured.stderr == ""


async def test_creating_waits_for_the_tasks_and_only_warns_about_the_registry(docker, cluster):
    created = await docker("service", "create", "--name", "web", "--replicas", "2", "--publish", "8080:80", "busybox")
    (service,) = cluster.services.values()
    assert created.lines[0] == service.id
    assert "overall progress: 2 out of 2 tasks" in created.lines
    assert created.lines[-1] == f"verify: Service {service.id} converged"
    assert "image busybox:latest could not be accessed on a registry to record" in created.stderr
    assert (await docker("service", "ls")).lines == [
        "ID NAME MODE REPLICAS IMAGE PORTS",
        f"{service.id[:12]} web replicated 2/2 busybox:latest *:8080->80/tcp",
    ]
    tasks = (await docker("service", "ps", "--format", "{{.Name}} {{.Node}} {{.DesiredState}}", "web")).lines
    assert tasks == ["web.1 vm Running", "web.2 vm2 Running"]
    assert (await docker("node", "ps", "--format", "{{.Name}}", "self")).lines == ["web.1"]


async def test_a_service_is_scaled_updated_rolled_back_and_removed(docker, cluster):
    await docker("service", "create", "-d", "--name", "web", "busybox")
    assert (await docker("service", "scale", "-d", "web=3")).lines == ["web scaled to 3"]
    assert len(cluster.tasks) == 3
    await docker("service", "update", "-d", "--env-add", "X=1", "--label-add", "l=1", "web")
    (service,) = cluster.services.values()
    assert (service.spec.task.container.env, service.spec.labels) == (("X=1",), {"l": "1"})
    await docker("service", "rollback", "-d", "web")
    (service,) = cluster.services.values()
    assert service.spec.task.container.env == ()
    await docker("service", "update", "-d", "--force", "web")
    (service,) = cluster.services.values()
    assert service.spec.task.force_update == 1
    assert (await docker("service", "rm", "web")).lines == ["web"]
    assert cluster.services == {}


async def test_a_service_without_a_name_is_given_one(docker, cluster):
    await docker("service", "create", "-d", "busybox")
    (name,) = (await docker("service", "ls", "--format", "{{.Name}}")).lines
    assert re.fullmatch(r"[a-z]+_[a-z]+_\d+", name)


async def test_global_services_run_once_on_every_node(docker, cluster):
    created = await docker("service", "create", "--name", "agent", "--mode", "global", "busybox")
    assert "overall progress: 2 out of 2 tasks" in created.lines
    assert (await docker("service", "ls", "--format", "{{.Mode}} {{.Replicas}}")).lines == ["global 2/2"]


async def test_logs_go_to_the_stream_that_they_were_written_to(docker, cluster):
    await docker("service", "create", "-d", "--name", "web", "busybox")
    (task,) = cluster.tasks.values()
    line = LogLine(task.service_id, task.node_id, task.id, START, False, b"hello\n")
    failure = LogLine(task.service_id, task.node_id, task.id, START, True, b"err\n")
    cluster.lines = [line, failure]
    read = await docker("service", "logs", "--timestamps", "--tail", "7", "web")
    assert read.lines == [f"2026-11-21T07:06:20.000000000Z web.1.{task.id[:12]}@vm | hello"]
    assert read.stderr.endswith("| err\n")
    assert cluster.log_options.tail == 7
    assert (await docker("service", "logs", "--raw", task.id)).stdout == "hello\n"


async def test_a_log_that_breaks_off_says_why(docker, cluster):
    await docker("service", "create", "-d", "--name", "web", "busybox")
    (task,) = cluster.tasks.values()

    async def broken(service_ids, task_ids, options):
        yield LogLine(task.service_id, task.node_id, task.id, START, False, b"hello\n")
        raise Unavailable("the node went away")

    cluster.logs = broken
    read = await docker.run("service", "logs", "web")
    assert read.exit == 1
    assert read.lines == [f"web.1.{task.id[:12]}@vm | hello"]
    assert read.stderr == "error from daemon in stream: Error grabbing logs: the node went away\n\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--network", "host"], "TaskTemplate.Networks is not supported"),
        (["--network", "nosuch"], "network nosuch not found (pyswarm does not have user-defined networks yet"),
        (["--secret", "nosuch"], "secret not found: nosuch"),
        (["--update-max-failure-ratio", "1.5"], "update max failure ratio cannot be less than 0 or bigger than 1"),
    ],
)
async def test_a_flag_that_is_not_there_yet_is_refused_by_name(docker, cluster, flags, message):
    refused = await docker.run("service", "create", "-d", "--name", "web", *flags, "busybox")
    assert refused.exit == 1
    assert message in refused.stderr
    assert cluster.services == {}


async def test_what_is_not_there_is_listed_as_empty_and_not_made(docker, cluster):
    assert (await docker("secret", "ls", "-q")).lines == []
    assert (await docker("config", "ls", "-q")).lines == []
    assert (await docker("stack", "ls", "--format", "{{.Name}}")).lines == []
    assert (await docker("network", "ls", "--format", "{{.Name}}")).lines == ["bridge", "host", "ingress", "none"]
    refused = await docker.run("network", "create", "-d", "overlay", "net")
    assert "pyswarm does not have user-defined networks yet" in refused.stderr
    assert (await docker.run("swarm", "unlock-key")).stderr.startswith("no unlock key is set")


async def test_inspect_finds_a_service_among_everything_else_of_that_name(docker, cluster):
    await docker("service", "create", "-d", "--name", "web", "busybox")
    assert (await docker("inspect", "--format", "{{.Spec.Name}}", "web")).lines == ["web"]
    assert (await docker.run("inspect", "nosuch")).stderr.strip() == "Error: No such object: nosuch"
