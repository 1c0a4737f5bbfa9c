"""What our command makes of the cluster is what Docker's makes of it with the same flags."""

import re
from dataclasses import replace

import pytest

from core.errors import OutOfSequence
from core.model import Availability, Resources, Role, ServiceSpec
from tests.support.docker_cli import DockerCli
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import MemoryCluster
from tests.support.pyswarm_cli import PyswarmCli

CREATE = {
    "nothing": [],
    "tasks": ["--mode", "global"],
    "container": [
        "--env", "A=1", "--env", "B=two", "--env", "A=3", "--env", "HOME", "--label", "sl=1", "--label", "bare",
        "--container-label", "cl=2", "--hostname", "{{.Node.Hostname}}", "--user", "1000:1000", "--workdir", "/data",
        "--entrypoint", 'sh -c "a b"', "--stop-grace-period", "7s", "--stop-signal", "SIGINT",
    ],
    "resources": ["--reserve-cpu", "0.1", "--reserve-memory", "32m", "--limit-cpu", ".5", "--limit-memory", "64MB"],
    "restart": ["--restart-condition", "on-failure", "--restart-delay", "3s", "--restart-max-attempts", "5"],
    "restart window": ["--restart-window", "1m30s"],
    "update": ["--update-parallelism", "2", "--update-delay", "2s", "--update-order", "start-first"],
    "update delay": ["--update-delay", "1500ms"],
    "placement": ["--replicas", "3", "--constraint", "node.role==manager", "--constraint", "node.labels.a != b"],
    "mounts": [
        "--mount", "type=volume,source=vol1,target=/data,volume-label=x=y,volume-driver=local,volume-nocopy",
        "--mount", "type=bind,source=/tmp,target=/hosttmp,readonly,bind-propagation=rslave",
        "--mount", "type=tmpfs,target=/t,tmpfs-size=1000000,tmpfs-mode=1770", "--mount", "target=/anonymous",
    ],
    "process": ["--init", "--tty", "--read-only", "--group", "2000", "--group", "audio", "--oom-score-adj", "-5"],
    "process without": ["--init=false", "-t=false", "--read-only=0"],
    "dns": [
        "--dns", "10.0.0.54", "--dns", "10.0.0.53", "--dns-option", "ndots:1", "--dns-search", "z.org",
        "--dns-search", "a.org", "--host", "db:10.0.0.9", "--host", "six=::1", "--host", "db:10.0.0.10",
    ],
    "kernel": ["--sysctl", "net.core.somaxconn=1024", "--ulimit", "nofile=1024:2048", "--ulimit", "core=0"],
    "capabilities": ["--cap-add", "net_admin", "--cap-add", "CAP_SYS_TIME", "--cap-drop", "MKNOD"],
    "capabilities both": ["--cap-add", "NET_ADMIN", "--cap-drop", "NET_ADMIN", "--cap-drop", "ALL"],
    "more limits": ["--limit-pids", "100", "--generic-resource", "gpu=2", "--generic-resource", "ssd=1"],
    "spread": [
        "--placement-pref", "spread=node.labels.zone", "--placement-pref", "spread=node.labels.rack",
        "--replicas-max-per-node", "2",
    ],
    "health": [
        "--health-cmd", "test -e /up", "--health-interval", "5s", "--health-retries", "3", "--health-timeout", "2s",
        "--health-start-period", "1s", "--health-start-interval", "100ms",
    ],
    "no health": ["--no-healthcheck"],
    "log": ["--log-driver", "json-file", "--log-opt", "max-size=1m", "--log-opt", "max-file=2"],
    "endpoint": ["--endpoint-mode", "vip"],
    "job": ["--mode", "replicated-job", "--replicas", "4", "--max-concurrent", "2"],
    "job all at once": ["--mode", "replicated-job", "--replicas", "4"],
    "job of one": ["--mode", "replicated-job"],
    "job everywhere": ["--mode", "global-job"],
}  # fmt: skip
PORTS = {
    "short": (["--publish", "{0}:80"], 1),
    "long": (["--publish", "published={0},target=80,protocol=tcp,mode=ingress"], 1),
    "host": (["--publish", "published={0},target=80,mode=host"], 1),
    "chosen by the cluster": (["--publish", "80"], 0),
    "range to range": (["--publish", "{0}-{2}:80-82"], 3),
    "range to one": (["--publish", "{0}-{1}:80"], 2),
}
UPDATES = {
    "env": ["--env-add", "B=3", "--env-rm", "A"],
    "labels": ["--label-add", "new=2", "--label-rm", "old", "--container-label-add", "x=y"],
    "constraints": ["--constraint-add", "node.id!=x", "--constraint-rm", "node.role==worker"],
    "mounts": ["--mount-rm", "/t", "--mount-add", "type=bind,source=/b,target=/a"],
    "publish": ["--publish-add", "published=9090,target=90,mode=host", "--publish-rm", "80"],
    "not this port": ["--publish-rm", "80/sctp"],
    "image": ["--image", "busybox:2", "--args", 'echo "a b"', "--entrypoint", "sh"],
    "replicas": ["--replicas", "5"],
    "force": ["--force"],
    "resources": ["--limit-cpu", "1", "--reserve-memory", "1g"],
    "restart": ["--restart-max-attempts", "1"],
    "update": ["--update-order", "start-first"],
    "container": ["--hostname", "h", "--user", "u", "--workdir", "/w", "--stop-signal", "INT"],
    "grace": ["--stop-grace-period", "1m"],
    "process": ["--init", "--tty=false", "--read-only", "--group-add", "2001", "--group-rm", "2000"],
    "process without": ["--init=false", "-t=false", "--read-only=false", "--oom-score-adj", "5"],
    "dns": [
        "--dns-add",
        "10.0.0.54",
        "--dns-rm",
        "10.0.0.53",
        "--dns-option-rm",
        "ndots:1",
        "--dns-option-add",
        "debug",
        "--dns-search-add",
        "a.org",
        "--dns-search-rm",
        "z.org",
    ],
    "hosts": ["--host-add", "web:10.0.0.8", "--host-rm", "db:10.0.0.9"],
    "a host by its name": ["--host-rm", "db"],
    "kernel": [
        "--sysctl-add",
        "net.core.somaxconn=2",
        "--sysctl-rm",
        "net.ipv4.ip_forward",
        "--ulimit-add",
        "nofile=3:4",
        "--ulimit-rm",
        "core",
    ],
    "capabilities": ["--cap-add", "NET_RAW", "--cap-drop", "SYS_TIME"],
    "capabilities back": ["--cap-add", "MKNOD", "--cap-drop", "CHOWN"],
    "capabilities anew": ["--cap-add", "RESET", "--cap-add", "NET_RAW", "--cap-drop", "RESET"],
    "capabilities all": ["--cap-drop", "ALL"],
    "generic": ["--generic-resource-add", "gpu=3", "--generic-resource-rm", "ssd", "--limit-pids", "7"],
    "spread": [
        "--placement-pref-add",
        "spread=node.labels.rack",
        "--placement-pref-rm",
        "spread=node.labels.zone",
        "--replicas-max-per-node",
        "3",
    ],
    "health": ["--health-cmd", "other", "--health-retries", "5"],
    "health interval": ["--health-interval", "7s"],
    "no health": ["--no-healthcheck"],
    "log": ["--log-driver", "journald", "--log-opt", "tag=a"],
}
BEFORE = [
    "--replicas", "2", "--env", "A=1", "--env", "B=2", "--label", "old=1", "--constraint", "node.role==worker",
    "--mount", "type=tmpfs,target=/t", "--mount", "type=bind,source=/a,target=/a",
    "--publish", "published=8080,target=80,mode=host", "--tty", "--group", "2000", "--dns", "10.0.0.53",
    "--dns-option", "ndots:1", "--dns-search", "z.org", "--host", "db:10.0.0.9", "--sysctl", "net.core.somaxconn=1",
    "--sysctl", "net.ipv4.ip_forward=1", "--ulimit", "nofile=1:2", "--ulimit", "core=0", "--cap-add", "SYS_TIME",
    "--cap-drop", "MKNOD", "--generic-resource", "gpu=1", "--generic-resource", "ssd=1",
    "--placement-pref", "spread=node.labels.zone", "--health-cmd", "true", "--health-interval", "5s",
]  # fmt: skip


@pytest.fixture
async def cluster(node: FakeNode, docker: DockerCli) -> MemoryCluster:
    await docker("swarm", "init", "--advertise-addr", "10.231.0.1")
    await node.cluster.add_node("vm2")
    return node.cluster


@pytest.fixture
def pyswarm(socket_path) -> PyswarmCli:
    return PyswarmCli(socket_path)


def spec_of(cluster: MemoryCluster, name: str) -> ServiceSpec:
    """Without its name, and without what Docker's command sends although it is empty or the default."""
    spec = cluster.store.service_by_name(name).spec
    container = replace(spec.task.container, init=spec.task.container.init or None)
    container = replace(container, mounts=tuple(sorted(container.mounts, key=lambda mount: mount.target)))
    container = replace(container, env=tuple(sorted(container.env)), dns=_given(container.dns))
    container = replace(container, ulimits=tuple(sorted(container.ulimits, key=repr)))
    task = replace(
        spec.task,
        container=container,
        resources=_given(
            spec.task.resources,
            lambda kept: replace(
                kept, limits=_given(kept.limits), reservations=_given(kept.reservations, _with_sorted_generic)
            ),
        ),
        placement=_given(spec.task.placement),
    )
    return replace(spec, name="", task=task, endpoint=_given(spec.endpoint))


def _with_sorted_generic(resources: Resources) -> Resources:
    return replace(resources, generic=tuple(sorted(resources.generic, key=repr)))


def _given(section, narrow=lambda kept: kept):
    narrowed = narrow(section) if section is not None else None
    return None if narrowed is None or narrowed == type(narrowed)() else narrowed


@pytest.mark.parametrize("flags", CREATE.values(), ids=CREATE)
async def test_create(docker, pyswarm, cluster, flags):
    await docker("service", "create", "--detach", "--name", "theirs", *flags, "busybox", "sleep", "-x", "1000")
    created = await pyswarm("service", "create", "--detach", "--name", "ours", *flags, "busybox", "sleep", "-x", "1000")
    assert created.lines == [cluster.store.service_by_name("ours").id]
    assert spec_of(cluster, "ours") == spec_of(cluster, "theirs")


@pytest.mark.parametrize("flags", [*CREATE.values(), BEFORE], ids=[*CREATE, "all of them"])
async def test_what_was_created_is_shown_alike(docker, pyswarm, cluster, flags):
    await docker("service", "create", "--detach", "--name", "web", *flags, "busybox", "true")
    theirs, ours = [await run("service", "inspect", "--pretty", "web") for run in (docker, pyswarm)]
    assert without_mode_of_jobs(ours.stdout) == without_mode_of_jobs(theirs.stdout)


def without_mode_of_jobs(text: str) -> str:
    """Docker's command says nothing of a job."""
    return re.sub(r"Service Mode:(\t(?:Replicated|Global)Job\n(?: .*\n)*|\n)", "", text)


@pytest.mark.parametrize(("flags", "ports"), PORTS.values(), ids=PORTS)
async def test_create_with_ports(docker, pyswarm, cluster, flags, ports):
    for name, first, run in (("theirs", 8000, docker), ("ours", 9000, pyswarm)):
        published = [text.format(first, first + 1, first + 2) for text in flags]
        await run("service", "create", "--detach", "--name", name, *published, "busybox")
    theirs, ours = (spec_of(cluster, name).endpoint.ports for name in ("theirs", "ours"))
    moved = tuple(replace(port, published_port=port.published_port + 1000 * bool(ports)) for port in theirs)
    assert sorted(ours, key=repr) == sorted(moved, key=repr)


@pytest.mark.parametrize("flags", UPDATES.values(), ids=UPDATES)
async def test_update(docker, pyswarm, cluster, flags):
    for name, run in (("theirs", docker), ("ours", pyswarm)):
        await docker("service", "create", "--detach", "--name", name, *BEFORE, "busybox")
        before = spec_of(cluster, name)
        assert (await run("service", "update", "--detach", *flags, name)).lines == [name]
        assert (spec_of(cluster, name) == before) == ("80/sctp" in flags)
    assert spec_of(cluster, "ours") == spec_of(cluster, "theirs")


async def test_what_needs_overlay_networks_is_refused_by_both_alike(docker, pyswarm, cluster):
    flags = ["service", "create", "--detach", "--name", "web", "--endpoint-mode", "dnsrr", "busybox"]
    theirs, ours = [await run(*flags) for run in (docker.run, pyswarm.run)]
    assert (theirs.exit, ours.exit) == (1, 1)
    assert "endpoint mode dnsrr needs overlay networks" in ours.stderr
    assert "endpoint mode dnsrr needs overlay networks" in theirs.stderr


async def test_update_rollback_and_scale(pyswarm, cluster):
    await pyswarm("service", "create", "-d", "--name", "web", "busybox")
    await pyswarm("service", "create", "-d", "--name", "api", "busybox")
    assert (await pyswarm("service", "scale", "-d", "web=3", "api=2")).lines == ["web scaled to 3", "api scaled to 2"]
    assert [spec_of(cluster, name).replicas for name in ("web", "api")] == [3, 2]
    await pyswarm("service", "update", "-d", "--rollback", "web")
    await pyswarm("service", "rollback", "-d", "api")
    assert [spec_of(cluster, name).replicas for name in ("web", "api")] == [None, None]
    assert (await pyswarm("service", "rm", "web", "api")).lines == ["web", "api"]
    assert cluster.services == {}


async def test_nodes_are_updated_promoted_demoted_and_removed(pyswarm, cluster):
    def vm2():
        return next(node for node in cluster.nodes.values() if node.description.hostname == "vm2")

    await pyswarm("node", "update", "--availability", "drain", "--label-add", "zone=a", "--label-add", "x", "vm2")
    assert (vm2().spec.availability, vm2().spec.labels) == (Availability.DRAIN, {"zone": "a", "x": ""})
    assert (await pyswarm("node", "update", "--label-rm", "x", "vm2")).lines == ["vm2"]
    assert vm2().spec.labels == {"zone": "a"}
    assert (await pyswarm("node", "promote", "vm2")).lines == ["Node vm2 promoted to a manager in the swarm."]
    assert vm2().spec.role is Role.MANAGER
    assert (await pyswarm.run("node", "rm", "vm2")).exit == 1
    assert (await pyswarm("node", "demote", "vm2")).lines == ["Manager vm2 demoted in the swarm."]
    assert (await pyswarm("node", "rm", "--force", "vm2")).lines == ["vm2"]
    assert len(cluster.nodes) == 1


async def test_a_node_that_changes_meanwhile_is_looked_at_again(pyswarm, cluster, monkeypatch):
    """As it does just after a change of its role, by itself."""
    update, refusals = cluster.control.update_node, [OutOfSequence()] * 3

    async def late(node_id, version, spec):
        if refusals:
            raise refusals.pop()
        return await update(node_id, version, spec)

    monkeypatch.setattr(cluster.control, "update_node", late)
    assert (await pyswarm("node", "promote", "vm2")).lines == ["Node vm2 promoted to a manager in the swarm."]
    refusals += [OutOfSequence()] * 100
    refused = await pyswarm.run("node", "demote", "vm2")
    assert (refused.exit, "update out of sequence" in refused.stderr) == (1, True)
    assert refusals


async def test_wrong_words_are_refused_before_the_daemon_is_asked(pyswarm, cluster):
    refused = await pyswarm.run("node", "update", "--availability", "off", "vm2")
    assert refused.exit == 1
    assert refused.stderr == "unknown availability off: write active or pause or drain\n"
