"""Three members of a log, each a process with a network address, a disk and a certificate; writers who remember.

As root: the members' addresses hang on a switch as the hosts of the lab do, so that a cable can be cut.
"""

import asyncio
import base64
import json
import signal
import subprocess
import sys
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from core.ids import new_id
from pyswarm.dev.network import Switch
from pyswarm.dev.shell import run
from raft import Timing, wipe
from tests.support.lab import CONFIG
from tests.support.managers import Authority
from tests.support.raft_member import Settings
from tests.support.waiting import PATIENCE

T = TypeVar("T")
SIZE = 3
TIMING = Timing(snapshot_entries=200, keep_entries=50)
"""Snapshots so often that many a death meets one."""
_PORT = 2377
_LINE_LIMIT = 64 << 20


class Refused(Exception):
    """A member answered that it will not, or did not."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class Line:
    """One connection to a member's socket. OSError when the member is gone, however it went."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, what: str, **arguments: object) -> Any:
        try:
            reader, writer = self._open or await asyncio.open_unix_connection(str(self._socket), limit=_LINE_LIMIT)
            self._open = reader, writer
            writer.write(json.dumps({"ask": what, **arguments}).encode() + b"\n")
            await writer.drain()
            line = await reader.readline()
            if not line.endswith(b"\n"):
                raise ConnectionResetError("it is gone")
        except BaseException:
            self.close()
            raise
        answer = json.loads(line)
        if "refusal" in answer:
            raise Refused(answer["refusal"], answer["message"])
        return answer

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


class Process:
    """A member. It is killed without warning and started again on what its disk holds."""

    def __init__(self, folder: Path, name: str, node_id: str, namespace: str, settings: Settings) -> None:
        self.name = name
        self.node_id = node_id
        self.addr = settings.addr
        self.folder = folder
        self.settings = settings
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def disk(self) -> Path:
        """What the member's disk holds: its log is the folder `raft` in it."""
        return self.folder / "disk"

    @property
    def raft(self) -> Path:
        return self.disk / "raft"

    @property
    def platter(self) -> Path:
        """The record of what was synced, if one is kept."""
        return self.folder / "platter"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    @property
    def last_words(self) -> str:
        """What it said last before it ended by itself."""
        return self.log.read_text().rstrip("\n").rpartition("\n")[2]

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self, dies: str = "") -> None:
        """With `dies`, one of `tests.support.disks.DEATHS`, it kills itself when it comes there."""
        assert not self.running
        (self.folder / "socket").unlink(missing_ok=True)
        settings = self.folder / "settings"
        replace(self.settings, dies=dies).save(settings)
        inside = ("nsenter", f"--net=/run/netns/{self._namespace}", "setpriv", "--pdeathsig", "KILL", "--")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*inside, sys.executable, "-m", "tests.support.raft_member", str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[2],
            )

    def kill(self) -> None:
        """kill -9. Returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def line(self) -> Line:
        return Line(self.folder / "socket")

    async def ask(self, what: str, **arguments: object) -> Any:
        """On a connection of its own."""
        line = self.line()
        try:
            return await line.ask(what, **arguments)
        finally:
            line.close()

    async def status(self) -> dict[str, Any]:
        """Empty if it does not answer."""
        try:
            async with asyncio.timeout(2):
                answer: dict[str, Any] = await self.ask("status")
                return answer
        except (OSError, Refused):
            return {}


class World:
    def __init__(self, folder: Path, timing: Timing, platters: bool, disk_size: str) -> None:
        self.folder = folder
        self.members: list[Process] = []
        self.switch = Switch(CONFIG.name, CONFIG.subnet)
        self._timing = timing
        self._platters = platters
        self._disk_size = disk_size
        self._authority = Authority()

    async def form(self) -> None:
        self.switch.down()
        self.switch.up()
        for _ in range(SIZE):
            await self.add()

    async def add(self) -> Process:
        """One more member, with an empty disk and a new id."""
        number = len(self.members) + 1
        name, address = f"m{number}", str(CONFIG.subnet[10 + number])
        namespace = self.switch.attach(name, address)
        folder = self.folder / name
        (folder / "disk").mkdir(parents=True)
        if self._disk_size:
            run("mount", "-t", "tmpfs", "-o", f"mode=700,size={self._disk_size}", "tmpfs", str(folder / "disk"))
        node_id = new_id()
        settings = self._settings(folder, node_id, f"{address}:{_PORT}")
        member = Process(folder, name, node_id, namespace, settings)
        self.members.append(member)
        member.start()
        await self.until(f"{name} is a member", member.status)
        return member

    def _settings(self, folder: Path, node_id: str, addr: str) -> Settings:
        key, certificate = self._authority.issue(node_id)
        return Settings(
            folder=str(folder / "disk/raft"),
            socket=str(folder / "socket"),
            addr=addr,
            key=key.decode(),
            certificate=certificate.decode(),
            root=self._authority.root.decode(),
            join=next((member.addr for member in self.members if member.running), ""),
            timing=asdict(self._timing),
            platter=str(folder / "platter") if self._platters else "",
        )

    async def rejoin(self, member: Process) -> None:
        """What a demotion and a promotion come to: the others forget it, and it joins again with an empty log."""
        leader = await self.leader()
        await leader.ask("remove", node=member.node_id)
        wipe(member.raft)
        member.settings = replace(member.settings, join=leader.addr)
        member.start()
        await self.until(f"{member.name} is a member again", member.status)

    def down(self) -> None:
        for member in self.members:
            member.kill()
            self.switch.detach(member.name)
            if self._disk_size:
                run("umount", str(member.disk))
        self.switch.down()

    # -- asking

    @property
    def running(self) -> list[Process]:
        return [member for member in self.members if member.running]

    async def until(self, what: str, condition: Callable[[], Awaitable[T]]) -> T:
        end = asyncio.get_running_loop().time() + PATIENCE
        while not (value := await condition()):
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"{what}: not after {PATIENCE:g} s; {self.last_lines()}")
            await asyncio.sleep(0.02)
        return value

    async def leader(self, *without: Process) -> Process:
        async def look() -> Process | None:
            asked = [member for member in self.running if member not in without]
            states = await asyncio.gather(*(member.status() for member in asked))
            leading = [(s["term"], at) for at, s in enumerate(states) if s.get("leads")]
            return asked[max(leading)[1]] if leading else None

        found = await self.until("a leader", look)
        assert found is not None
        return found

    async def caught_up(self, member: Process) -> None:
        """Waits until it has applied what the leader has by now."""
        leader = await self.leader()
        goal = (await self.until("the leader's index", leader.status))["applied"]

        async def there() -> bool:
            return bool((await member.status()).get("applied", -1) >= goal)

        await self.until(f"{member.name} catches up", there)

    async def log_of(self, member: Process) -> "array[int]":
        """All that was applied there, in order."""
        return array("Q", base64.b64decode((await member.ask("log"))["applied"]))

    def last_lines(self) -> str:
        return "; ".join(f"{member.name}: {member.log.read_text()[-300:]!r}" for member in self.members)


@asynccontextmanager
async def processes(
    folder: Path, timing: Timing = TIMING, *, platters: bool = False, disk_size: str = ""
) -> AsyncIterator[World]:
    """Three members that have agreed on a leader.

    With `platters` their disks keep only what was synced; with `disk_size` each is of its own and so small.
    """
    world = World(folder, timing, platters, disk_size)
    try:
        await world.form()
        yield world
    finally:
        world.down()
