"""The daemon and its relay: started, taken over, replaced, started again, ended."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import FailedPrecondition, InvalidArgument, Unavailable
from core.model import IngressAck
from ingress import control
from ingress.channel import Channel
from ingress.client import LONGEST_PATH, RelayPorts, end_relay
from ingress.control import Settings, pack
from ingress.process import spawn
from ingress.routes import EMPTY, difference, to_json
from tests.support.ports import free_port
from tests.support.relays import Relays, Server, ask, published, relays
from tests.support.waiting import eventually


@pytest.fixture
async def cluster() -> AsyncIterator[Relays]:
    async with relays() as started:
        yield started


async def pid_of(ports: RelayPorts) -> int:
    return int((await ports.stats())["pid"])


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_the_plan_stays_in_force_without_a_daemon_and_the_next_one_takes_over(cluster: Relays) -> None:
    port = free_port()
    ports = await cluster.start(2)
    await cluster.apply(published(1, port, await Server("a", 2).start()))
    pid = await pid_of(ports)
    await ports.stop()
    assert await ask(2, port) == "a"
    again = await cluster.start(2)
    assert await pid_of(again) == pid
    assert await ask(2, port) == "a"
    await cluster.apply(published(2, port, await Server("b", 2).start()))
    assert await ask(2, port) == "b"


DAEMON = """
import asyncio, sys
from pathlib import Path
from tests.support.relays import Relays
from tests.support.certificates import Issuer

async def main():
    cluster = Relays(Path(sys.argv[1]))
    cluster.relay_port = int(sys.argv[2])
    await cluster.start(2)
    print("up", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


async def test_the_relay_survives_its_daemon_being_killed(cluster: Relays) -> None:
    arguments = [sys.executable, "-c", DAEMON, str(cluster.folder), str(cluster.relay_port)]
    daemon = subprocess.Popen(arguments, stdout=subprocess.PIPE, start_new_session=True)  # noqa: ASYNC220
    assert daemon.stdout is not None
    while (await asyncio.to_thread(daemon.stdout.readline)).strip() != b"up":
        assert daemon.poll() is None
    channel = await Channel.connect(cluster.path(2), lambda _: None)
    pid = channel.relay_pid
    os.killpg(daemon.pid, signal.SIGKILL)
    daemon.wait()
    assert daemon.stdout.read() is not None  # whoever reads the daemon's output is not kept waiting by the relay
    assert (await channel.call("hello"))["version"] == control.VERSION
    channel.close()
    assert await pid_of(await cluster.start(2)) == pid


async def test_a_relay_that_dies_is_started_again_with_its_plan(cluster: Relays) -> None:
    port = free_port()
    ports = await cluster.start(2)
    await cluster.apply(published(1, port, await Server("a", 2).start()))
    first = await pid_of(ports)
    os.kill(first, signal.SIGKILL)
    while True:
        try:
            if await ask(2, port) == "a":
                break
        except OSError:
            await asyncio.sleep(0.02)
    assert await pid_of(ports) != first
    assert not exists(first)  # nor does it stay as a zombie


async def test_a_state_that_comes_while_there_is_no_relay_is_applied_by_the_next(cluster: Relays) -> None:
    port = free_port()
    ports = await cluster.start(2)
    os.kill(await pid_of(ports), signal.SIGKILL)
    state = published(5, port, await Server("a", 2).start())
    while True:
        try:
            assert await ports.apply(state) == IngressAck(5)
            break
        except Unavailable:
            await asyncio.sleep(0.02)
    assert await ask(2, port) == "a"


async def test_a_relay_of_another_version_makes_way_and_keeps_its_connections(
    cluster: Relays, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    ports = await cluster.start(2)
    await cluster.apply(published(1, port, await Server("a", 2).start()))
    old = await pid_of(ports)
    reader, writer = await asyncio.open_connection("127.0.0.2", port)
    assert await reader.readline() == b"a\n"
    await ports.stop()
    monkeypatch.setattr(control, "VERSION", control.VERSION + 1)
    new = cluster.ports[2] = cluster.make(2)
    await new.start()
    assert await pid_of(new) != old
    await cluster.apply(published(2, port, await Server("b", 2).start()))
    assert await ask(2, port) == "b"
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await eventually("the old relay ends with its last connection", lambda: not runs(old))


async def test_a_relay_with_other_settings_makes_way(cluster: Relays) -> None:
    ports = await cluster.start(2)
    old = await pid_of(ports)
    await ports.stop()
    cluster.relay_port = free_port()
    assert await pid_of(await cluster.start(2)) != old
    await eventually("the old relay ends", lambda: not runs(old))


async def test_a_relay_that_hangs_is_killed_and_replaced(cluster: Relays) -> None:
    ports = await cluster.start(2)
    old = await pid_of(ports)
    await ports.stop()
    os.kill(old, signal.SIGSTOP)

    async def spawn_with_patience(path: Path, settings: Settings) -> int:
        impatient.undo()  # a slow machine is no relay that hangs
        return await spawn(path, settings)

    with pytest.MonkeyPatch.context() as impatient:
        impatient.setattr("ingress.process.spawn", spawn_with_patience)
        impatient.setattr("ingress.channel.CALL_LIMIT", 0.2)
        new = await cluster.start(2)
    assert await pid_of(new) != old
    assert not runs(old)


async def test_stopping_for_good_ends_the_relay_and_its_connections(cluster: Relays) -> None:
    port = free_port()
    ports = await cluster.start(2)
    await cluster.apply(published(1, port, await Server("a", 2).start()))
    pid = await pid_of(ports)
    reader, writer = await asyncio.open_connection("127.0.0.2", port)
    assert await reader.readline() == b"a\n"
    await ports.stop(kill=True)
    assert not runs(pid)
    assert not cluster.path(2).exists()
    with pytest.raises(ConnectionError):
        await ask(2, port)
    writer.close()


@pytest.mark.parametrize("length", [1, LONGEST_PATH + 1])
async def test_where_no_relay_can_be_there_is_none_to_end(tmp_path: Path, length: int) -> None:
    await end_relay(tmp_path / ("r" * length))


async def test_a_socket_left_by_a_dead_relay_is_no_obstacle(cluster: Relays) -> None:
    ports = await cluster.start(2)
    pid = await pid_of(ports)
    await ports.stop()
    os.kill(pid, signal.SIGKILL)
    await eventually("the relay is dead", lambda: not runs(pid))
    assert cluster.path(2).exists()
    assert await pid_of(await cluster.start(2)) != pid


async def test_a_relay_that_cannot_start_says_why(cluster: Relays) -> None:
    ports = RelayPorts(cluster.folder / "missing" / "relay.sock", cluster.issuer.credentials("node2"))
    with pytest.raises(Unavailable, match=r"the relay does not start: .*No such file"):
        await ports.start()


async def test_a_path_too_long_for_a_socket_is_refused(cluster: Relays) -> None:
    ports = RelayPorts(cluster.folder / ("x" * 120), cluster.issuer.credentials("node2"))
    with pytest.raises(InvalidArgument, match="too long for a socket"):
        await ports.start()


async def test_two_relays_do_not_share_a_control_socket(cluster: Relays) -> None:
    await cluster.start(2)
    command = [sys.executable, "-m", "ingress.relay", "--control", str(cluster.path(2))]
    second = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "another relay is controlled through" in second.stdout


async def test_keys_are_neither_on_disk_nor_in_the_command_line_nor_readable_by_others(cluster: Relays) -> None:
    ports = await cluster.start(2)
    pid = await pid_of(ports)
    assert stat.S_IMODE(cluster.path(2).stat().st_mode) == 0o600
    assert [path.name for path in cluster.folder.iterdir()] == ["relay2.sock"]
    process = Path(f"/proc/{pid}")
    assert b"PRIVATE" not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert not [file for file in (process / "fd").iterdir() if "certificate" in os.readlink(file)]


async def test_the_relay_is_small_and_holds_nothing_of_its_daemon(cluster: Relays) -> None:
    secret = os.open(cluster.folder / "inherited", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(secret, True)
    ports = await cluster.start(2)
    process = Path(f"/proc/{await pid_of(ports)}")
    os.close(secret)
    assert not [file for file in (process / "fd").iterdir() if "inherited" in os.readlink(file)]
    assert os.getsid(int(process.name)) == int(process.name)
    maps = (process / "maps").read_text()
    assert not [name for name in ("grpc", "cryptography", "uvloop", "aiohttp", "google") if f"/{name}" in maps]


async def call(path: Path, name: str, **arguments: object) -> control.Message:
    channel = await Channel.connect(path, lambda _: None)
    try:
        return await channel.call(name, **arguments)
    finally:
        channel.close()


async def test_a_change_for_another_plan_is_refused(cluster: Relays) -> None:
    await cluster.start(2)
    change = to_json(difference(EMPTY, EMPTY._replace(version=3)))
    with pytest.raises(FailedPrecondition, match="has version 0 of the plan, not 2"):
        await call(cluster.path(2), "plan", base=2, change=change)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("nonsense", {}),
        ("plan", {}),
        ("plan", {"base": None, "change": {"version": 1}}),
        ("tls", {"key": "k", "certificate": "c", "root": "r", "cluster_id": "x"}),
        ("tls", {"key": 1}),
        ("stop", {"drain": -1}),
        ("stop", {"drain": "now"}),
    ],
)
async def test_a_call_that_makes_no_sense_is_refused_and_changes_nothing(
    cluster: Relays, name: str, arguments: dict[str, object]
) -> None:
    port = free_port()
    await cluster.start(2)
    await cluster.apply(published(1, port, await Server("a", 2).start()))
    with pytest.raises(FailedPrecondition):
        await call(cluster.path(2), name, **arguments)
    assert await ask(2, port) == "a"


async def test_garbage_to_the_control_socket_does_no_harm(cluster: Relays) -> None:
    port = free_port()
    await cluster.start(2)
    await cluster.apply(published(1, port, await Server("a", 2).start()))
    loop = asyncio.get_running_loop()
    path = str(cluster.path(2))

    async def send(data: bytes) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(data)
        writer.write_eof()
        await reader.read()
        writer.close()

    # Words of the sources among the texts are tried too: all but the one that would be obeyed.
    texts = st.text(max_size=8).filter(lambda text: text != "stop")
    objects = st.dictionaries(st.sampled_from(["call", "base", "change", "x"]), texts | st.none())

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=300) | objects.map(pack) | st.text(max_size=50).map(json.dumps).map(framed))
    def attack(data: bytes) -> None:
        asyncio.run_coroutine_threadsafe(send(data), loop).result()

    await asyncio.to_thread(attack)
    await send(b"\xff\xff\xff\xff")  # a length beyond all bounds: hung up on at once
    assert await ask(2, port) == "a"


def framed(text: str) -> bytes:
    return len(text.encode()).to_bytes(4, "big") + text.encode()
