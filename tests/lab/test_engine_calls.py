"""The real docker command on a real engine, through pyswarm's socket: what it does to containers of this node."""

import asyncio
import os
import pty
import termios
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.api_server import serve
from tests.support.docker_cli import DockerCli, Result
from tests.support.engine import PrivateEngine, engine
from tests.support.fake_node import FakeNode
from tests.support.waiting import eventually

__all__ = ["engine"]
pytestmark = pytest.mark.lab


@pytest.fixture
async def docker(engine: PrivateEngine, tmp_path: Path) -> AsyncIterator[DockerCli]:
    node = FakeNode()
    node.engine_url = engine.url
    async with serve(node, tmp_path / "pyswarm.sock"):
        yield DockerCli(tmp_path / "pyswarm.sock", tmp_path)


@pytest.fixture
async def shell(docker: DockerCli) -> AsyncIterator[str]:
    """A container that sleeps."""
    await docker("run", "--detach", "--name", "shell", "busybox", "sleep", "1000")
    yield "shell"
    await docker("rm", "--force", "shell")


async def with_input(docker: DockerCli, text: bytes, *arguments: str) -> Result:
    process = await asyncio.create_subprocess_exec(
        docker.command,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=docker.environment,
    )
    stdout, stderr = await asyncio.wait_for(process.communicate(text), 60)
    assert process.returncode is not None
    return Result(process.returncode, stdout.decode(), stderr.decode())


async def test_containers_and_images_are_listed_and_inspected(docker, shell):
    assert (await docker("ps", "--format", "{{.Names}} {{.Image}}")).lines == ["shell busybox"]
    assert (await docker("images", "--format", "{{.Repository}}:{{.Tag}}")).lines == ["busybox:latest"]
    assert (await docker("inspect", "--format", "{{.State.Status}}", shell)).lines == ["running"]
    assert "sleep 1000" in (await docker("top", shell)).stdout
    assert (await docker("stats", "--no-stream", "--format", "{{.Name}}", shell)).lines == ["shell"]
    assert (await docker.run("inspect", "--type", "container", "nosuch")).exit == 1


async def test_a_command_runs_in_a_container(docker, shell):
    assert (await docker("exec", shell, "echo", "hello")).stdout == "hello\n"
    failed = await docker.run("exec", shell, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (failed.exit, failed.stdout, failed.stderr) == (7, "out\n", "err\n")
    assert (await docker.run("exec", "nosuch", "true")).exit == 1


async def test_what_is_typed_arrives_and_the_answer_outlives_its_end(docker, shell):
    text = b"".join(b"line %d\n" % number for number in range(20_000))
    counted = await with_input(docker, text, "exec", "--interactive", shell, "sh", "-c", "wc -c; sleep 0.2; echo end")
    assert counted.stdout.split() == [str(len(text)), "end"]
    echoed = await with_input(docker, text, "exec", "--interactive", shell, "cat")
    assert echoed.stdout.encode() == text


async def test_a_terminal_in_a_container(docker, shell):
    """`exec -it`, as one types it: the command asks for a real terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (33, 77))
    process = await asyncio.create_subprocess_exec(
        docker.command, "exec", "-it", shell, "sh", stdin=theirs, stdout=theirs, stderr=theirs, env=docker.environment
    )
    os.close(theirs)
    said = bytearray()
    os.set_blocking(ours, False)
    asyncio.get_running_loop().add_reader(ours, lambda: said.extend(_read(ours)))
    try:
        await eventually("a prompt", lambda: b"#" in said)
        os.write(ours, b"stty size; echo tty=$(tty)\n")
        await eventually("the terminal's size and name", lambda: b"33 77" in said and b"tty=/dev/pts/" in said)
        os.write(ours, b"exit 5\n")
        assert await asyncio.wait_for(process.wait(), 60) == 5
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


async def test_logs_are_followed_until_the_container_stops(docker, engine):
    await docker("run", "--detach", "--name", "talker", "busybox", "sh", "-c", "echo one; sleep 1; echo two")
    assert (await docker("logs", "--follow", "talker")).stdout == "one\ntwo\n"
    assert (await docker("wait", "talker")).stdout == "0\n"
    assert (await docker("rm", "talker")).stdout == "talker\n"


async def test_a_container_runs_in_the_foreground(docker):
    assert (await docker("run", "--rm", "busybox", "echo", "hello")).stdout == "hello\n"
    doubled = await with_input(
        docker, b"hello\n", "run", "--rm", "--interactive", "busybox", "sed", "s/hello/good day/"
    )
    assert doubled.stdout == "good day\n"


async def test_files_are_copied_both_ways(docker, shell, tmp_path):
    (tmp_path / "there").write_text("and back\n" * 10_000)
    await docker("cp", str(tmp_path / "there"), f"{shell}:/there")
    await docker("cp", f"{shell}:/there", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "and back\n" * 10_000


async def test_the_engines_events_are_shown(docker):
    process = await asyncio.create_subprocess_exec(
        docker.command,
        *("events", "--filter", "type=container", "--format", "{{.Action}} {{.Actor.Attributes.name}}"),
        stdout=asyncio.subprocess.PIPE,
        env=docker.environment,
    )
    assert process.stdout is not None
    try:
        seen: list[str] = []
        while not {"start seen", "die seen"} <= set(seen):  # it tells only of what comes after it has begun
            seen.clear()
            await docker("run", "--rm", "--name", "seen", "busybox", "true")
            with suppress(TimeoutError):
                while "destroy seen" not in seen:
                    seen.append((await asyncio.wait_for(process.stdout.readline(), 5)).decode().strip())
    finally:
        process.kill()
        await process.wait()


async def test_volumes_are_made_and_removed(docker):
    assert (await docker("volume", "create", "data")).stdout == "data\n"
    assert (await docker("volume", "ls", "--quiet")).lines == ["data"]
    assert (await docker("volume", "rm", "data")).stdout == "data\n"
    assert "Local Volumes" in (await docker("system", "df")).stdout


async def test_an_image_is_built(docker, tmp_path):
    """With the engine's own builder: the command's BuildKit is a plugin, which need not be there."""
    docker.environment["DOCKER_BUILDKIT"] = "0"
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text("FROM busybox\nCOPY big /\nRUN wc -c < /big > /size\n")
    (tmp_path / "context" / "big").write_bytes(os.urandom(3_000_000))
    built = await docker("build", "--tag", "built", str(tmp_path / "context"))
    assert "Successfully tagged built:latest" in built.stdout
    assert (await docker("run", "--rm", "built", "cat", "/size")).stdout == "3000000\n"
    (tmp_path / "context" / "Dockerfile").write_text("FROM busybox\nRUN exit 7\n")
    assert "returned a non-zero code: 7" in (await docker.run("build", str(tmp_path / "context"))).stderr


async def test_the_engines_networks_are_inspected(docker, shell):
    """By name, by the id that the list shows, and with the containers in it."""
    (short,) = (await docker("network", "ls", "--quiet", "--filter", "name=bridge")).lines
    for ref in ("bridge", short):
        shown = await docker(
            "network", "inspect", ref, "--format", "{{range .Containers}}{{.Name}}{{end}} {{.Options}}"
        )
        assert shown.stdout.startswith("shell map[")
        assert "com.docker.network.bridge.name:docker0" in shown.stdout
