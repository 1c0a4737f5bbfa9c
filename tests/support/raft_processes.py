"""Three members of a log, each a process with a network address, a disk and a certificate.

As root: the members' addresses hang on a switch as the hosts of the lab do, so that a cable can be cut.
"""

import asyncio
import base64
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
from tests.support.member_process import Process
from tests.support.raft_member import Settings
from tests.support.waiting import PATIENCE

T = TypeVar("T")
SIZE = 3
TIMING = Timing(snapshot_entries=200, keep_entries=50)
"""Snapshots so often that many a death meets one."""
_PORT = 2377


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

    async def status(self, member: Process) -> dict[str, Any]:
        """Once it answers."""
        return await self.until(f"{member.name} answers", member.status)

    async def caught_up(self, member: Process) -> None:
        """Waits until it has applied what the leader has by now."""
        goal = (await self.status(await self.leader()))["applied"]

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
