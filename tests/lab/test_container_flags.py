"""What a service asks for is what its container really has: seen from inside it, and by the engine."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from core.clock import MILLISECOND, SECOND
from core.model import (
    BindOptions,
    DNSConfig,
    GenericResource,
    HealthCheck,
    LogDriver,
    LogOptions,
    Mount,
    MountType,
    PortConfig,
    ResourceRequirements,
    Resources,
    Task,
    TaskState,
    Ulimit,
    VolumeOptions,
)
from tests.support.engine_node import SLEEP, Node, engine, make_task, node
from tests.support.waiting import eventually

__all__ = ["engine", "node"]
pytestmark = pytest.mark.lab

MEMORY = 64 << 20


def inspect(engine: Any, task: Task) -> Any:
    return engine.request("GET", f"/containers/web.1.{task.id}/json")


async def says(node: Node, task: Task) -> list[str]:
    """What it has written once it has ended, by lines."""
    await node.run(task)
    status = await node.until(task, TaskState.COMPLETE)
    assert status.state is TaskState.COMPLETE, status.err
    return b"".join(await node.log(task)).decode().splitlines()


def health(*test: str, **periods: int) -> HealthCheck:
    return HealthCheck(test, **({"interval": 200 * MILLISECOND, "retries": 1} | periods))


async def test_process_and_rights(engine, node):
    script = "id -G; grep CapEff /proc/self/status; ulimit -n; touch /file 2>&1 | grep -o Read-only; cat /proc/1/comm"
    task = make_task(
        "sh",
        "-c",
        script,
        groups=("2000", "2001"),
        cap_add=("CAP_NET_ADMIN",),
        cap_drop=("ALL",),
        ulimits=(Ulimit("nofile", 123, 456),),
        read_only=True,
        init=True,
        oom_score_adj=321,
    )
    groups, capabilities, files, read_only, first = await says(node, task)
    assert {"2000", "2001"} <= set(groups.split())
    assert int(capabilities.split()[1], 16) == 1 << 12  # CAP_NET_ADMIN alone
    assert (files, read_only) == ("123", "Read-only")
    assert "init" in first
    config = inspect(engine, task)["HostConfig"]
    assert (config["GroupAdd"], config["CapAdd"], config["CapDrop"]) == (["2000", "2001"], ["CAP_NET_ADMIN"], ["ALL"])
    assert (config["ReadonlyRootfs"], config["Init"], config["OomScoreAdj"]) == (True, True, 321)
    assert config["Ulimits"] == [{"Name": "nofile", "Soft": 123, "Hard": 456}]


async def test_a_terminal(engine, node):
    task = make_task("sh", "-c", "test -t 1 && echo a terminal; echo two", tty=True, open_stdin=True)
    assert await says(node, task) == ["a terminal", "two"]
    config = inspect(engine, task)["Config"]
    assert (config["Tty"], config["OpenStdin"]) == (True, True)
    lines = [line async for line in node.worker.tasks[task.id].controller.logs(LogOptions())]
    assert all(line.timestamp > 0 and not line.stderr for line in lines)


async def test_names_and_kernel_parameters(engine, node):
    task = make_task(
        "sh",
        "-c",
        "hostname; grep -c -e '10.0.0.9.*db' -e '10.0.0.9.*db.local' /etc/hosts; cat /etc/resolv.conf; "
        "cat /proc/sys/net/core/somaxconn",
        hostname="box",
        hosts=("10.0.0.9 db db.local",),
        dns=DNSConfig(("10.0.0.53",), ("ex.org",), ("ndots:3",)),
        sysctls={"net.core.somaxconn": "321"},
    )
    hostname, hosts, *resolver, somaxconn = await says(node, task)
    assert (hostname, hosts, somaxconn) == ("box", "2", "321")
    assert {"nameserver 10.0.0.53", "search ex.org", "options ndots:3"} <= set(resolver)


async def test_limits(engine, node):
    limits = Resources(nano_cpus=250_000_000, memory_bytes=MEMORY, pids=17)
    reserved = Resources(nano_cpus=10**8, memory_bytes=MEMORY // 2)
    task = make_task(*SLEEP, template={"resources": ResourceRequirements(limits, reserved)})
    status = await node.run(task)
    config = inspect(engine, task)["HostConfig"]
    assert (config["NanoCpus"], config["Memory"], config["PidsLimit"]) == (250_000_000, MEMORY, 17)
    group = f"{engine.directory.name}/{status.container.container_id}"
    assert group_file(group, "pids.max") == "17"
    assert group_file(group, "memory.max", "memory.limit_in_bytes") == str(MEMORY)


def group_file(group: str, *names: str) -> str:
    """What a file of a container's control group holds, in either version of control groups."""
    found = [
        file for name in names for top in ("", "*/") for file in Path("/sys/fs/cgroup").glob(f"{top}{group}/{name}")
    ]
    return found[0].read_text().strip()


@pytest.mark.parametrize(("swap", "total"), [(MEMORY, 2 * MEMORY), (0, MEMORY), (-1, -1)])
async def test_swap_is_what_was_asked_for_or_the_node_says_why_not(engine, node, swap, total):
    requirements = ResourceRequirements(Resources(memory_bytes=MEMORY), swap_bytes=swap, memory_swappiness=None)
    task = make_task(*SLEEP, template={"resources": requirements})
    status = await node.run(task)
    if status.state is TaskState.RUNNING:
        assert inspect(engine, task)["HostConfig"]["MemorySwap"] == total
    else:
        assert status.state is TaskState.REJECTED
        assert status.err.startswith("this node cannot do what the service asks for: ")
        assert "swap" in status.err
        assert engine.containers(label=[f"io.pyswarm.task={task.id}"]) == []


async def test_swappiness_is_what_was_asked_for_or_the_node_says_why_not(engine, node):
    task = make_task(*SLEEP, template={"resources": ResourceRequirements(memory_swappiness=10)})
    status = await node.run(task)
    if status.state is TaskState.RUNNING:
        assert inspect(engine, task)["HostConfig"]["MemorySwappiness"] == 10
    else:
        assert (status.state, "swappiness" in status.err.lower()) == (TaskState.REJECTED, True)
        assert engine.containers(label=[f"io.pyswarm.task={task.id}"]) == []


async def test_the_log_driver_of_the_service_or_of_the_cluster(engine, node):
    own = make_task(*SLEEP, template={"log_driver": LogDriver("json-file", {"max-size": "1m", "max-file": "2"})})
    of_cluster = dataclasses.replace(make_task(*SLEEP), log_driver=LogDriver("none"))
    for task, expected in ((own, ("json-file", {"max-size": "1m", "max-file": "2"})), (of_cluster, ("none", {}))):
        assert (await node.run(task)).state is TaskState.RUNNING
        config = inspect(engine, task)["HostConfig"]["LogConfig"]
        assert (config["Type"], config["Config"]) == expected
    unknown = make_task(*SLEEP, template={"log_driver": LogDriver("nonsense")})
    status = await node.run(unknown)
    assert status.state is TaskState.REJECTED
    assert "nonsense" in status.err


async def test_mounts_of_every_kind(engine, node, tmp_path):
    (tmp_path / "file").write_text("bound")
    tmp_path.chmod(0o755)
    options = VolumeOptions(no_copy=True, labels={"a": "b"}, driver="local")
    task = make_task(
        "sh",
        "-c",
        "cat /in/file; touch /in/new 2>&1 | grep -o Read-only; echo kept > /vol/file",
        mounts=(
            Mount(MountType.BIND, str(tmp_path), "/in", read_only=True, bind=BindOptions(propagation="private")),
            Mount(MountType.VOLUME, "named", "/vol", volume=options),
        ),
    )
    assert await says(node, task) == ["boundRead-only"]
    assert engine.request("GET", "/volumes/named")["Labels"] == {"a": "b"}
    mounts = {mount["Destination"]: mount for mount in inspect(engine, task)["Mounts"]}
    assert (mounts["/in"]["Propagation"], mounts["/in"]["RW"]) == ("private", False)
    again = make_task("cat", "/vol/file", mounts=(Mount(MountType.VOLUME, "named", "/vol"),))
    assert await says(node, again) == ["kept"]


async def test_what_this_engine_is_too_old_for_is_refused_with_the_reason(engine, node, tmp_path):
    version = tuple(map(int, engine.request("GET", "/version")["ApiVersion"].split(".")))
    source = str(tmp_path / "made")
    mount = Mount(MountType.BIND, source, "/in", bind=BindOptions(create_mountpoint=True))
    status = await node.run(make_task(*SLEEP, mounts=(mount,)))
    assert status.state is (TaskState.RUNNING if version >= (1, 42) else TaskState.REJECTED)
    assert version >= (1, 42) or "too old to create the source of a bind mount" in status.err
    check = health("CMD", "true", start_interval=SECOND)
    status = await node.run(make_task(*SLEEP, health_check=check))
    assert status.state is (TaskState.RUNNING if version >= (1, 44) else TaskState.REJECTED)
    assert version >= (1, 44) or "too old for a start interval of health checks" in status.err


async def test_templates_are_filled_in(engine, node):
    volume = VolumeOptions(labels={"of": "{{.Service.ID}}"})
    task = make_task(
        "sh",
        "-c",
        "hostname; echo $WHO $WHERE; test -d /web",
        hostname='{{join "-" .Service.Name .Task.Slot}}',
        env=("WHO={{.Task.Name}} {{.Service.Labels.tier}}", "WHERE={{.Node.ID}} {{.Node.Platform.OS}}"),
        mounts=(Mount(MountType.VOLUME, "data-{{.Task.Slot}}", "/{{.Service.Name}}", volume=volume),),
        template={"service_labels": {"tier": "front"}},
    )
    assert await says(node, task) == ["web-1", f"web.1.{task.id} front node-1 linux"]
    assert engine.request("GET", "/volumes/data-1")["Labels"] == {"of": "service-1"}
    (mount,) = inspect(engine, task)["Mounts"]
    assert mount["Destination"] == "/web"


async def test_a_template_that_names_what_is_not_there_rejects_the_task(node):
    status = await node.run(make_task(*SLEEP, env=("A={{.Service.Labels.none}}",)))
    assert status.state is TaskState.REJECTED
    assert status.err.startswith("the template of the environment variable A: can't evaluate field none")


async def test_generic_resources_are_told_to_the_container(node):
    given = (GenericResource("gpu", "UUID1"), GenericResource("gpu", "UUID2"))
    task = dataclasses.replace(make_task("sh", "-c", "echo $DOCKER_RESOURCE_GPU"), generic=given)
    assert await says(node, task) == ["UUID1,UUID2"]


async def test_a_task_runs_only_once_it_is_healthy(engine, node):
    task = make_task(*SLEEP, health_check=health("CMD-SHELL", "test -e /up", retries=1000))
    node.worker.update([task], [])
    await node.until(task, TaskState.STARTING)
    name = f"web.1.{task.id}"
    await eventually("its check has failed", lambda: has_failed_check(engine, name))
    assert node.worker.tasks[task.id].status.state is TaskState.STARTING
    execute(engine, name, "touch", "/up")
    status = await node.until(task, TaskState.RUNNING)
    assert (status.state, bool(status.container.address)) == (TaskState.RUNNING, True)


async def test_a_task_that_is_never_healthy_fails_and_its_container_stops(engine, node):
    task = make_task(*SLEEP, health_check=health("CMD-SHELL", "echo no answer; exit 3"))
    status = await node.run(task)
    assert status.state is TaskState.FAILED
    assert status.err == "unhealthy container: its health check ended with 3: no answer"
    assert inspect(engine, task)["State"]["Running"] is False


async def test_a_task_that_becomes_unhealthy_is_left_alone_by_the_ingress_then_stops_and_fails(engine, node):
    port = PortConfig(target_port=80, published_port=8080)
    task = make_task(
        "sh", "-c", "touch /up; sleep 1000", ports=(port,), health_check=health("CMD", "test", "-e", "/up")
    )
    assert (await node.run(task)).state is TaskState.RUNNING
    execute(engine, f"web.1.{task.id}", "rm", "/up")
    manager = node.worker.tasks[task.id]
    await eventually("it has no address any more", lambda: not manager.status.container.address)
    assert manager.status.state is TaskState.RUNNING
    assert inspect(engine, task)["State"]["Running"] is True
    status = await node.until(task, TaskState.FAILED)
    assert "unhealthy container" in status.err
    assert inspect(engine, task)["State"]["Running"] is False


async def test_no_health_check_is_one_of_the_images_own_switched_off(engine, node):
    task = make_task(*SLEEP, health_check=HealthCheck(("NONE",)))
    assert (await node.run(task)).state is TaskState.RUNNING
    assert inspect(engine, task)["Config"]["Healthcheck"] == {"Test": ["NONE"]}
    assert "Health" not in inspect(engine, task)["State"]


async def test_a_health_check_is_the_engines_as_it_was_asked_for(engine, node):
    check = health("CMD", "true", timeout=2 * SECOND, start_period=3 * SECOND, retries=4)
    task = make_task(*SLEEP, health_check=check)
    assert (await node.run(task)).state is TaskState.RUNNING
    assert inspect(engine, task)["Config"]["Healthcheck"] == {
        "Test": ["CMD", "true"],
        "Interval": 200 * MILLISECOND,
        "Timeout": 2 * SECOND,
        "StartPeriod": 3 * SECOND,
        "Retries": 4,
    }


def has_failed_check(engine: Any, name: str) -> bool:
    return bool(engine.request("GET", f"/containers/{name}/json")["State"]["Health"]["Log"])


def execute(engine: Any, name: str, *command: str) -> None:
    words = ", ".join(f'"{word}"' for word in command)
    made = engine.request("POST", f"/containers/{name}/exec", f'{{"Cmd": [{words}]}}'.encode())
    engine.request("POST", f"/exec/{made['Id']}/start", b'{"Detach": true}')
