"""Our command while it waits: on a terminal, in a pipe, interrupted, and with a reader that goes away."""

import asyncio
import re

import pytest

from core.errors import Unavailable
from core.model import LogLine
from tests.support.docker_cli import DockerCli, Result
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import START, MemoryCluster
from tests.support.pyswarm_cli import COMMAND, PyswarmCli

NOWHERE = ["--constraint", "node.labels.zone==nowhere"]


@pytest.fixture
async def cluster(node: FakeNode, docker: DockerCli) -> MemoryCluster:
    await docker("swarm", "init", "--advertise-addr", "10.231.0.1")
    await node.cluster.add_node("vm2")
    return node.cluster


@pytest.fixture
def pyswarm(socket_path) -> PyswarmCli:
    return PyswarmCli(socket_path)


async def test_creating_waits_until_the_tasks_are_stable(docker, pyswarm, cluster):
    """Either leaves out those seconds in which it did not come to look: that none is left out is Convergence's."""
    theirs, ours = await asyncio.gather(
        docker("service", "create", "--name", "theirs", "--replicas", "2", "busybox"),
        pyswarm("service", "create", "--name", "ours", "--replicas", "2", "busybox"),
    )
    service_id = cluster.store.service_by_name("ours").id
    created, progress, *waiting, end = ours.lines
    assert (created, progress) == (service_id, "overall progress: 2 out of 2 tasks")
    assert waiting == [
        f"verify: Waiting {seconds} seconds to verify that tasks are stable..." for seconds in left(ours)
    ]
    assert end == f"verify: Service {service_id} converged"
    for said in (ours, theirs):
        assert left(said) == sorted({5, *left(said)}, reverse=True)
    # Docker's repeats its lines whenever it looks, and begins with the bars' empty ones.
    repeated = theirs.stdout.replace(cluster.store.service_by_name("theirs").id, service_id)
    assert set(without_seconds(ours.stdout)) <= set(without_seconds(repeated))


def left(said: Result) -> list[int]:
    """The seconds that it counts down, each once."""
    return list(dict.fromkeys(int(seconds) for seconds in re.findall(r"Waiting (\d+) seconds", said.stdout)))


def without_seconds(text: str) -> list[str]:
    return re.sub(r"Waiting \d+ seconds", "Waiting seconds", text).splitlines()


async def test_quiet_waits_without_a_word(pyswarm, cluster):
    created = await pyswarm("service", "create", "-q", "--name", "web", "busybox")
    assert created.lines == [cluster.store.service_by_name("web").id]


async def test_rolling_back_and_scaling_wait_and_name_the_service_as_it_was_named(pyswarm, cluster):
    await pyswarm("service", "create", "-d", "--name", "web", "busybox")
    await pyswarm("service", "create", "-d", "--name", "api", "busybox")
    await pyswarm("service", "create", "-d", "--name", "agent", "--mode", "global", "busybox")
    await pyswarm("service", "update", "-d", "--env-add", "A=1", "web")
    rolled, scaled = await asyncio.gather(
        pyswarm("service", "rollback", "web"), pyswarm.run("service", "scale", "agent=2", "api=3")
    )
    assert rolled.lines[0] == "web"
    assert rolled.lines[-2:] == ["verify: Service web converged", "rollback: rollback completed"]
    assert scaled.exit == 1
    assert scaled.stderr == "agent: scale can only be used with replicated or replicated-job mode\n"
    assert "verify: Service api converged" in scaled.lines


async def test_a_terminal_has_bars_drawn_over_themselves(pyswarm, cluster):
    async with pyswarm.on_a_terminal("service", "create", "--name", "web", "--replicas", "2", "busybox") as terminal:
        assert await terminal.ended() == 0
        await terminal.shows("converged")
    assert f"\n1/2: running   [{'=' * 50}>]\n2/2: running   [{'=' * 50}>]\n" in terminal.text
    assert "\x1b[4A\x1b[J" in terminal.text
    drawn = re.split(r"\x1b\[\d+A\x1b\[J", terminal.text)[-1]
    service_id = cluster.store.service_by_name("web").id
    assert drawn.splitlines()[0] == "overall progress: 2 out of 2 tasks"
    assert drawn.splitlines()[-1] == f"verify: Service {service_id} converged"


async def test_an_interrupt_ends_the_waiting_and_nothing_else(pyswarm, cluster):
    async with pyswarm.on_a_terminal("service", "create", "--name", "web", *NOWHERE, "busybox") as terminal:
        await terminal.shows("1/1: no suitable node")
        terminal.press(b"\x03")
        assert await terminal.ended() == 0
        await terminal.shows("to check progress.")
    service_id = cluster.store.service_by_name("web").id
    assert terminal.text.endswith(
        f"Operation continuing in background.\nUse `pyswarm service ps {service_id}` to check progress.\n"
    )
    assert "converged" not in terminal.text


async def test_an_interrupt_ends_a_log_that_is_followed(pyswarm, cluster):
    await pyswarm("service", "create", "-d", "--name", "web", "busybox")
    (task,) = cluster.tasks.values()

    async def follow(service_ids, task_ids, options):
        yield LogLine(task.service_id, task.node_id, task.id, START, False, b"hello\n")
        await asyncio.Event().wait()

    cluster.logs = follow
    async with pyswarm.on_a_terminal("service", "logs", "-f", "web") as terminal:
        await terminal.shows(f"web.1.{task.id[:12]}@vm    | hello\n")
        terminal.press(b"\x03")
        assert await terminal.ended() == 130
    assert "Traceback" not in terminal.text


async def test_a_log_that_fails_on_its_way_is_an_error(pyswarm, cluster):
    await pyswarm("service", "create", "-d", "--name", "web", "busybox")
    (task,) = cluster.tasks.values()

    async def fail(service_ids, task_ids, options):
        yield LogLine(task.service_id, task.node_id, task.id, START, False, b"hello\n")
        raise Unavailable("the node went away")

    cluster.logs = fail
    read = await pyswarm.run("service", "logs", "web")
    assert (read.exit, read.stderr) == (1, "Error grabbing logs: the node went away\n")
    assert read.lines == [f"web.1.{task.id[:12]}@vm | hello"]
    raw = await pyswarm.run("service", "logs", "--raw", "web")
    assert (raw.exit, raw.stdout, raw.stderr) == (1, "hello\n", "Error grabbing logs: the node went away\n")


async def test_a_service_that_goes_while_it_is_waited_for_is_an_error(pyswarm, cluster):
    async with pyswarm.on_a_terminal("service", "create", "--name", "web", *NOWHERE, "busybox") as terminal:
        await terminal.shows("1/1: no suitable node")
        await cluster.control.remove_service(cluster.store.service_by_name("web").id)
        assert await terminal.ended() == 1
        await terminal.shows("not found")


async def test_a_reader_that_has_seen_enough_is_no_error_to_speak_of(pyswarm, cluster, socket_path):
    await pyswarm("service", "create", "-d", "--name", "web", "busybox")
    (task,) = cluster.tasks.values()
    cluster.lines = [LogLine(task.service_id, task.node_id, task.id, START, False, b"x" * 1000 + b"\n")] * 500
    command = " ".join([*COMMAND, "-H", f"unix://{socket_path}", "service", "logs", "web"])
    process = await asyncio.create_subprocess_shell(
        f"{command} | head -n 1", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    assert stdout.count(b"\n") == 1
    assert stderr == b""
