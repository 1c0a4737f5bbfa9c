"""A member's process as its test sees it: started, asked, frozen and killed."""

import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.raft_member import LINE_LIMIT, Settings


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
            reader, writer = self._open or await asyncio.open_unix_connection(str(self._socket), limit=LINE_LIMIT)
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
        """With `dies`, one of the places in `tests.support.disks`, it kills itself when it comes there."""
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
