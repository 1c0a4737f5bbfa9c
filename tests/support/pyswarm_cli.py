"""Our command as a process of its own, pointed at a socket of ours."""

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.docker_cli import Result
from tests.support.waiting import eventually

COMMAND = (sys.executable, "-m", "pyswarm")


class PyswarmCli:
    def __init__(self, socket: Path) -> None:
        self._environment = {"PATH": os.environ["PATH"], "PYSWARM_HOST": f"unix://{socket}", "HOME": str(socket.parent)}

    async def run(self, *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> Result:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**self._environment, **(environment or {})},
        )
        stdout, stderr = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return Result(process.returncode, stdout.decode(), stderr.decode())

    async def __call__(self, *arguments: str, stdin: str = "") -> Result:
        """Runs what must succeed."""
        result = await self.run(*arguments, stdin=stdin)
        assert result.exit == 0, f"pyswarm {' '.join(arguments)}: {result.stderr or result.stdout}"
        return result

    @asynccontextmanager
    async def on_a_terminal(self, *arguments: str, columns: int = 100) -> "AsyncIterator[Terminal]":
        """Started as the foreground of a terminal of its own; ended when the block is.

        By `setsid`, not by code of ours between fork and exec: in a process that has used gRPC, its handlers of a fork
        may abort the child.
        """
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = await asyncio.create_subprocess_exec(
            *("setsid", "--ctty"),
            *COMMAND,
            *arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self._environment,
        )
        os.close(theirs)
        terminal = Terminal(ours, process)
        try:
            yield terminal
        finally:
            await terminal.close()


class Terminal:
    def __init__(self, descriptor: int, process: asyncio.subprocess.Process) -> None:
        self._descriptor = descriptor
        self._process = process
        self._data = bytearray()
        self._all_read = asyncio.Event()
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    @property
    def text(self) -> str:
        """All that was written, as it was written."""
        return self._data.decode(errors="replace").replace("\r\n", "\n")

    async def shows(self, text: str) -> None:
        await eventually(f"{text!r} on the terminal", lambda: text in self.text)

    def press(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    async def ended(self) -> int:
        """Its exit code, once all is read that it wrote."""
        await self._all_read.wait()
        return await self._process.wait()

    async def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:
            # The other end is closed: the process has ended.
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._all_read.set()
            return
        self._data += data
