"""Tasks as containers of a real engine."""

import asyncio
import dataclasses
import signal

import pytest

from core.clock import SECOND
from core.model import (
    BindOptions,
    LogDriver,
    LogOptions,
    Mount,
    MountType,
    PortConfig,
    PublishMode,
    Resources,
    TaskState,
    TmpfsOptions,
)
from tests.support.engine_node import SLEEP, engine, make_task, node, node_on
from tests.support.waiting import eventually
from worker.database import MemoryDatabase

__all__ = ["engine", "node"]
pytestmark = pytest.mark.lab


async def test_a_task_runs_with_an_address_and_stops(engine, node):
    task = make_task(*SLEEP)
    status = await node.run(task)
    assert status.state == TaskState.RUNNING
    assert status.container.address.startswith("172.")
    assert status.container.pid > 0
    (container,) = engine.containers(label=[f"io.pyswarm.task={task.id}"])
    assert container["Id"] == status.container.container_id
    assert container["Names"] == [f"/web.1.{task.id}"]
    assert container["Labels"]["com.docker.swarm.service.name"] == "web"
    node.want(task, TaskState.SHUTDOWN)
    status = await node.until(task, TaskState.SHUTDOWN)
    assert (status.state, status.container.exit_code) == (TaskState.SHUTDOWN, 137)
    (container,) = engine.containers(label=[f"io.pyswarm.task={task.id}"])
    assert container["State"] == "exited"
    node.worker.update([], [task.id])
    await eventually("the container is gone", lambda: not engine.containers(label=[f"io.pyswarm.task={task.id}"]))


@pytest.mark.parametrize(("code", "state"), [(0, TaskState.COMPLETE), (3, TaskState.FAILED)])
async def test_the_exit_code_is_told(node, code, state):
    task = make_task("sh", "-c", f"exit {code}")
    await node.run(task)
    status = await node.until(task, TaskState.COMPLETE)
    assert (status.state, status.container.exit_code) == (state, code)
    assert status.err == ("task: non-zero exit (3)" if code else "")


async def test_a_container_beyond_its_memory_limit_says_so(node):
    eat = "x=a; while :; do x=$x$x; done"
    task = make_task("sh", "-c", eat, resources=Resources(memory_bytes=16 * 2**20))
    await node.run(task)
    status = await node.until(task, TaskState.FAILED)
    assert status.err == "task: non-zero exit (137): it used more memory than its limit (OOM)"


async def test_an_image_that_is_nowhere_rejects_the_task_and_says_so(node):
    task = make_task(*SLEEP, image="registry.invalid/nothing:1")
    status = await node.run(task)
    assert status.state == TaskState.REJECTED
    assert status.err.startswith("image registry.invalid/nothing:1 is not on this node and cannot be pulled:")


async def test_a_command_that_is_not_in_the_image_fails_and_says_so(node):
    status = await node.run(make_task("nonsense"))
    assert status.state == TaskState.FAILED
    assert "nonsense" in status.err


async def test_a_bind_mount_without_its_source_is_rejected(node):
    mount = Mount(type=MountType.BIND, source="/nowhere", target="/data")
    status = await node.run(make_task(*SLEEP, mounts=(mount,)))
    assert status.state == TaskState.REJECTED
    assert "/nowhere" in status.err


async def test_everything_a_service_asks_for_reaches_the_container(engine, node, tmp_path):
    show = "echo $COLOUR $(hostname) $(pwd) $(id -u) $(cat /in/file) $(stat -c %a /scratch) $(mount | grep -c ' /vol ')"
    (tmp_path / "file").write_text("bound")
    tmp_path.chmod(0o755)
    task = make_task(
        "-c",
        show,
        command=("/bin/sh",),
        env=("COLOUR=blue",),
        hostname="box",
        dir="/tmp",
        user="12",
        labels={"mine": "yes"},
        stop_signal="SIGINT",
        stop_grace_period=3 * SECOND // 2,
        init=False,
        mounts=(
            Mount(type=MountType.BIND, source=str(tmp_path), target="/in", read_only=True, bind=BindOptions()),
            Mount(type=MountType.TMPFS, target="/scratch", tmpfs=TmpfsOptions(size_bytes=2**20, mode=0o755)),
            Mount(type=MountType.VOLUME, target="/vol"),
        ),
        resources=Resources(nano_cpus=500_000_000, memory_bytes=64 * 2**20),
    )
    await node.run(task)
    await node.until(task, TaskState.COMPLETE)
    assert await node.log(task) == [b"blue box /tmp 12 bound 755 1\n"]
    seen = engine.request("GET", f"/containers/web.1.{task.id}/json")
    assert seen["Config"]["Labels"]["mine"] == "yes"
    assert (seen["Config"]["StopSignal"], seen["Config"]["StopTimeout"]) == ("SIGINT", 2)
    assert (seen["HostConfig"]["NanoCpus"], seen["HostConfig"]["Memory"]) == (500_000_000, 64 * 2**20)


async def test_host_ports_are_bound_and_told(node):
    fixed = PortConfig(target_port=80, published_port=8080, publish_mode=PublishMode.HOST)
    chosen = PortConfig(target_port=81, publish_mode=PublishMode.HOST)
    ingress = PortConfig(target_port=82, published_port=8082, publish_mode=PublishMode.INGRESS)
    status = await node.run(make_task(*SLEEP, ports=(fixed, chosen, ingress)))
    assert status.ports[0] == fixed
    assert status.ports[1] == dataclasses.replace(chosen, published_port=status.ports[1].published_port)
    assert status.ports[1].published_port > 0
    assert len(status.ports) == 2
    taken = await node.run(make_task(*SLEEP, ports=(fixed,)))
    assert taken.state == TaskState.FAILED
    assert "8080" in taken.err


async def test_a_task_gets_its_signal_and_its_grace(node):
    script = "trap 'echo bye; exit 0' USR1; echo up; while :; do sleep 0.1; done"
    task = make_task("sh", "-c", script, stop_signal="SIGUSR1", stop_grace_period=60 * SECOND)
    await node.run(task)
    lines = node.worker.tasks[task.id].controller.logs(LogOptions(follow=True))
    assert (await anext(lines)).data == b"up\n"
    node.want(task, TaskState.SHUTDOWN)
    status = await node.until(task, TaskState.SHUTDOWN)
    assert (status.state, status.container.exit_code) == (TaskState.SHUTDOWN, 0)
    assert await node.log(task) == [b"up\n", b"bye\n"]


async def test_logs_are_cut_as_asked(node):
    task = make_task("sh", "-c", "for i in 1 2 3; do echo out $i; done; sleep 0.2; echo err >&2")
    await node.run(task)
    await node.until(task, TaskState.COMPLETE)
    assert await node.log(task, stderr=False) == [b"out 1\n", b"out 2\n", b"out 3\n"]
    assert await node.log(task, stdout=False) == [b"err\n"]
    assert await node.log(task, tail=2) == [b"out 3\n", b"err\n"]
    controller = node.worker.tasks[task.id].controller
    lines = [line async for line in controller.logs(LogOptions())]
    assert [line.stderr for line in lines] == [False, False, False, True]
    assert [line.timestamp for line in lines] == sorted(line.timestamp for line in lines)
    assert await node.log(task, since=lines[-1].timestamp) == [b"err\n"]


async def test_logs_carry_what_their_driver_was_told_to_add(node):
    driver = LogDriver("json-file", {"labels": "tier", "env": "STAGE"})
    task = make_task("echo", "hello", env=("STAGE=one two",), labels={"tier": "front"})
    task = dataclasses.replace(task, spec=dataclasses.replace(task.spec, log_driver=driver))
    await node.run(task)
    await node.until(task, TaskState.COMPLETE)
    controller = node.worker.tasks[task.id].controller
    (line,) = [line async for line in controller.logs(LogOptions(details=True))]
    assert (line.details, line.data) == ("STAGE=one+two,tier=front", b"hello\n")
    (plain,) = [line async for line in controller.logs(LogOptions())]
    assert (plain.details, plain.data) == ("", b"hello\n")


async def test_logs_are_followed_from_before_the_start_to_the_end(node):
    task = make_task("sh", "-c", "echo one; sleep 0.3; echo two")
    node.worker.update([dataclasses.replace(task, desired_state=TaskState.READY)], [])
    following = asyncio.create_task(node.log(task, follow=True))
    await node.until(task, TaskState.READY)
    assert await node.log(task) == []
    node.want(task, TaskState.RUNNING)
    assert await following == [b"one\n", b"two\n"]


async def test_AGT_06_a_daemon_that_restarts_adopts_what_runs(engine):
    database = MemoryDatabase()
    runs, ends = make_task(*SLEEP), make_task("sleep", "0.5")
    async with node_on(engine, database) as first:
        before = await first.run(runs)
        await first.run(ends)
    engine.request("POST", f"/containers/web.1.{ends.id}/wait")
    async with node_on(engine, database) as second:
        assert (await second.until(ends, TaskState.COMPLETE)).state == TaskState.COMPLETE
        assert second.worker.tasks[runs.id].status == before
        engine.request("POST", f"/containers/web.1.{runs.id}/kill")
        assert (await second.until(runs, TaskState.COMPLETE)).container.exit_code == 137
        await second.worker.remove_everything()


async def test_AGT_06_without_a_database_containers_are_found_by_their_labels(engine):
    kept, dropped, foreign = make_task(*SLEEP), make_task(*SLEEP), make_task(*SLEEP)
    async with node_on(engine) as first:
        statuses = {task.id: await first.run(task) for task in (kept, dropped)}
    async with node_on(engine, cluster_id="cluster-2") as other:
        await other.run(foreign)
    async with node_on(engine) as second:
        second.worker.assign([dataclasses.replace(kept, status=statuses[kept.id])])
        left = ["io.pyswarm.cluster=cluster-1"]
        await eventually("what is not assigned is gone", lambda: len(engine.containers(label=left)) == 1)
        assert (await second.until(kept, TaskState.RUNNING)).state == TaskState.RUNNING
        assert len(engine.containers(label=[f"io.pyswarm.task={kept.id}"])) == 1
        assert len(engine.containers(label=["io.pyswarm.cluster=cluster-2"])) == 1
        await second.worker.remove_everything()
    async with node_on(engine, cluster_id="cluster-2") as other:
        await other.worker.remove_everything()
    assert engine.containers() == []


async def test_AGT_03_prepare_and_start_may_be_repeated(engine, node):
    task = make_task(*SLEEP)
    controllers = [node.executor.controller(task) for _ in range(2)]
    for controller in controllers:
        await controller.prepare()
        await controller.start()
    assert len(engine.containers(label=[f"io.pyswarm.task={task.id}"])) == 1
    assert controllers[0].observed == controllers[1].observed


async def test_a_container_of_the_same_name_is_adopted_only_if_it_is_ours(engine, node):
    task = make_task(*SLEEP)
    engine.request("POST", f"/containers/create?name=web.1.{task.id}", b'{"Image": "busybox", "Cmd": ["sh"]}')
    status = await node.run(task)
    assert status.state == TaskState.REJECTED
    assert "taken by a container that is not ours" in status.err
    engine.request("DELETE", f"/containers/web.1.{task.id}")


async def test_a_container_that_someone_removes_fails_its_task(engine, node):
    task = make_task(*SLEEP)
    await node.run(task)
    engine.request("DELETE", f"/containers/web.1.{task.id}?force=1")
    status = await node.until(task, TaskState.FAILED)
    assert status.container.exit_code == 137 or "gone" in status.err


async def test_a_shutdown_in_the_middle_of_a_start_leaves_nothing_running(engine, node):
    tasks = [make_task(*SLEEP) for _ in range(6)]
    node.worker.update(tasks, [])
    for number, task in enumerate(tasks):
        await asyncio.sleep(0.05 * number)
        node.want(task, TaskState.SHUTDOWN)
    for task in tasks:
        assert (await node.until(task, TaskState.SHUTDOWN)).state == TaskState.SHUTDOWN
    assert engine.containers(status=["running"]) == []


async def test_an_engine_that_is_away_stops_no_task_and_starts_those_that_wait(engine, node):
    first, second = make_task(*SLEEP), make_task(*SLEEP)
    before = await node.run(first)
    heard = asyncio.Event()
    node.executor.on_change(heard.set)
    engine.stop(signal.SIGKILL)
    await heard.wait()
    assert "docker.sock: is it running?" in (await node.executor.describe()).engine_error
    node.worker.update([second], [])
    await node.until(second, TaskState.PREPARING)
    assert node.worker.tasks[first.id].status == before
    engine.start()
    assert (await node.until(second, TaskState.RUNNING)).state == TaskState.RUNNING
    assert (await node.executor.describe()).engine_error == ""


async def test_an_engine_that_hangs_is_told_and_stops_no_task(engine, node):
    task = make_task(*SLEEP)
    before = await node.run(task)
    engine.freeze()
    assert "does not answer" in (await node.executor.describe()).engine_error
    engine.thaw()
    assert (await node.executor.describe()).engine_error == ""
    assert node.worker.tasks[task.id].status == before


async def test_what_an_engine_stopped_while_it_restarted_is_seen(engine, node):
    task = make_task(*SLEEP)
    await node.run(task)
    engine.stop(signal.SIGTERM)
    engine.start()
    assert (await node.until(task, TaskState.COMPLETE)).state in (TaskState.FAILED, TaskState.COMPLETE)


async def test_the_node_is_described(node):
    description = await node.executor.describe()
    assert description.platform.os == "linux"
    assert description.resources.nano_cpus >= 10**9
    assert description.resources.memory_bytes > 2**20
    assert description.engine_version
    assert any((plugin.type, plugin.name) == ("Volume", "local") for plugin in description.plugins)
