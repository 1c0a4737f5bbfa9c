"""A whole service through the docker command, the cluster and an agent, down to its container; and its health."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.lab import Cluster, fetch, new_hosts, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
SOCKET = "unix:///run/pyswarm/pyswarm.sock"
PORT = 8090
EVERYTHING = [
    "--env", "WHO={{.Task.Name}} {{.Service.Labels.tier}}", "--label", "tier=front", "--container-label", "cl=2",
    "--hostname", "{{.Node.Hostname}}-{{.Task.Slot}}", "--user", "1000:1000", "--group", "2000", "--workdir", "/data",
    "--mount", "type=volume,source=vol-{{.Task.Slot}},target=/data,volume-label=x={{.Service.Name}}",
    "--mount", "type=bind,source=/etc,target=/host,readonly", "--mount", "type=tmpfs,target=/t,tmpfs-size=1000000",
    "--limit-cpu", "0.5", "--limit-memory", "64m", "--limit-pids", "100", "--ulimit", "nofile=1024:2048",
    "--cap-add", "NET_ADMIN", "--cap-drop", "MKNOD", "--sysctl", "net.core.somaxconn=1024", "--init", "--read-only",
    "--tty", "--dns", "10.0.0.53", "--dns-search", "ex.org", "--dns-option", "ndots:1", "--host", "h1:1.2.3.4",
    "--stop-signal", "SIGINT", "--stop-grace-period", "7s", "--log-driver", "json-file", "--log-opt", "max-size=1m",
    "--health-cmd", "true", "--health-interval", "1s", "--health-retries", "3", "--entrypoint", "sh -c",
    "--oom-score-adj", "100", "--constraint", "node.hostname==w1", "--replicas-max-per-node", "2",
]  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with new_hosts(managers=1, workers=1) as made:
        made.form()
        yield made


def docker(cluster: Cluster, *arguments: str) -> str:
    """The real command, on the manager's socket."""
    return cluster.host("m1").run("docker", "-H", SOCKET, *arguments, timeout=120).stdout.decode()


def on_engine(cluster: Cluster, task: Any, *arguments: str) -> str:
    """The real command, on the engine of the node that has the task."""
    names = {node["ID"]: name for name, node in cluster.nodes().items()}
    return cluster.host(names[task["NodeID"]]).run("docker", *arguments).stdout.decode()


def container_of(cluster: Cluster, task: Any) -> str:
    """Empty if it does not run."""
    label = f"label=com.docker.swarm.task.id={task['ID']}"
    return on_engine(cluster, task, "ps", "-q", "--no-trunc", "--filter", label).strip()


def inspect(cluster: Cluster, task: Any) -> Any:
    (seen,) = json.loads(on_engine(cluster, task, "inspect", container_of(cluster, task)))
    return seen


def test_everything_that_was_asked_for_is_in_the_container(cluster: Cluster) -> None:
    docker(cluster, "service", "create", "--detach", "--name", "full", *EVERYTHING, "busybox", "sleep 1000")
    (task,) = cluster.wait_running("full", 1)
    seen = inspect(cluster, task)
    config, host = seen["Config"], seen["HostConfig"]
    assert f"WHO=full.1.{task['ID']} front" in config["Env"]
    assert (config["Hostname"], config["User"], config["WorkingDir"]) == ("w1-1", "1000:1000", "/data")
    assert (config["Labels"]["cl"], config["Tty"]) == ("2", True)
    assert (config["Entrypoint"], config["Cmd"]) == (["sh", "-c"], ["sleep 1000"])
    assert (config["StopSignal"], config["StopTimeout"]) == ("SIGINT", 7)
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 10**9, "Retries": 3}
    assert (host["NanoCpus"], host["Memory"], host["PidsLimit"]) == (5 * 10**8, 64 << 20, 100)
    assert (host["CapAdd"], host["CapDrop"], host["GroupAdd"]) == (["CAP_NET_ADMIN"], ["CAP_MKNOD"], ["2000"])
    assert host["Ulimits"] == [{"Name": "nofile", "Hard": 2048, "Soft": 1024}]
    assert (host["Sysctls"], host["Init"], host["ReadonlyRootfs"]) == ({"net.core.somaxconn": "1024"}, True, True)
    assert (host["Dns"], host["DnsSearch"], host["DnsOptions"]) == (["10.0.0.53"], ["ex.org"], ["ndots:1"])
    assert (host["ExtraHosts"], host["OomScoreAdj"]) == (["h1:1.2.3.4"], 100)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
    mounts = {mount["Destination"]: mount for mount in seen["Mounts"]}
    assert (mounts["/data"]["Name"], mounts["/host"]["RW"]) == ("vol-1", False)
    (volume,) = json.loads(on_engine(cluster, task, "volume", "inspect", "vol-1"))
    assert volume["Labels"] == {"x": "full"}
    shown = docker(cluster, "service", "inspect", "--pretty", "full")
    assert shown == cluster.pyswarm("m1", "service", "inspect", "--pretty", "full")
    docker(cluster, "service", "rm", "full")


def test_the_clusters_log_driver_is_that_of_tasks_whose_service_names_none(cluster: Cluster) -> None:
    api = cluster.api("m1")
    swarm = api.get("/swarm")
    spec = {**swarm["Spec"], "TaskDefaults": {"LogDriver": {"Name": "json-file", "Options": {"max-size": "3m"}}}}
    api.post("/swarm/update", spec, {"version": swarm["Version"]["Index"]})
    cluster.pyswarm("m1", "service", "create", "--detach", "--name", "plain", "busybox", "sleep", "1000")
    (task,) = cluster.wait_running("plain", 1)
    assert inspect(cluster, task)["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "3m"}}
    cluster.pyswarm("m1", "service", "rm", "plain")


def test_a_task_gets_connections_only_while_it_is_healthy_and_is_replaced_when_it_is_not(cluster: Cluster) -> None:
    serve = "mkdir /www; hostname > /www/index.html; httpd -f -p 80 -h /www"
    flags = ["--publish", f"{PORT}:80", "--restart-delay", "0s", "--hostname", "{{.Task.ID}}"]
    flags += ["--health-cmd", "test -e /up", "--health-interval", "300ms", "--health-retries", "1"]
    flags += ["--health-start-period", "10m"]
    command = [*flags, "--name", "careful", "busybox", "sh", "-c", serve]
    cluster.pyswarm("m1", "service", "create", "--detach", *command)

    def starting() -> Any:
        live = cluster.tasks("careful", desired_state="running")
        return [task for task in live if task["Status"]["State"] == "starting" and container_of(cluster, task)]

    (first,) = wait_for("a task that starts", patiently(starting))
    assert fetch(cluster.host("m1").address, PORT) == "", "it is not healthy yet"
    heal(cluster, first)
    cluster.wait_running("careful", 1)
    wait_for("an answer", lambda: fetch(cluster.host("m1").address, PORT) == first["ID"])
    on_engine(cluster, first, "exec", container_of(cluster, first), "rm", "/up")
    (second,) = wait_for("the next task", patiently(starting))
    assert fetch(cluster.host("m1").address, PORT) == ""
    (ended,) = [task for task in cluster.tasks("careful") if task["ID"] == first["ID"]]
    assert ended["Status"]["State"] == "failed"
    assert ended["Status"]["Err"].startswith("unhealthy container: its health check ended with 1")
    heal(cluster, second)
    wait_for("an answer of the other", lambda: fetch(cluster.host("m1").address, PORT) == second["ID"])


def heal(cluster: Cluster, task: Any) -> None:
    on_engine(cluster, task, "exec", container_of(cluster, task), "touch", "/up")
