"""The relay's process: started apart from the daemon, so that it lives on when the daemon dies."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from core.errors import Unavailable
from ingress.control import READY, Settings

START_LIMIT = 10.0
"""Seconds a new relay has until it can be called."""


async def spawn(control: Path, settings: Settings) -> int:
    """Starts a relay in a session of its own and returns its process id once it can be called. Raises Unavailable.

    With posix_spawn: a fork would take gRPC's threads and locks along, and asyncio would end its children with itself.
    """
    ours, theirs = os.pipe()
    try:
        pid = os.posix_spawn(  # noqa: ASYNC221 - it does not wait for the process
            sys.executable,
            _command(control, settings),
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs, 1),
                (os.POSIX_SPAWN_DUP2, theirs, 2),
            ],
            setsid=True,
        )
    except OSError as error:
        os.close(ours)
        raise Unavailable(f"the relay cannot be started: {error}") from error
    finally:
        os.close(theirs)
    said = await _read_all(ours)
    if said != READY:
        await end(pid, signal.SIGKILL, within=START_LIMIT)
        raise Unavailable(f"the relay does not start: {said.strip() or 'it says nothing'}")
    return pid


async def end(pid: int, number: int, within: float) -> bool:
    """Sends the signal and waits; whether the process is gone. It need not be a child of ours."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        signal.pidfd_send_signal(process, number)
        return await _readable(process, within)
    except ProcessLookupError:
        return True
    finally:
        os.close(process)
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - it only lets the kernel forget a child that has ended


async def gone(pid: int, within: float) -> bool:
    """Whether the process ends within so many seconds."""
    return await end(pid, 0, within)


def _command(control: Path, settings: Settings) -> list[str]:
    # -P: the folder the daemon was started in is no place to import from.
    command = [sys.executable, "-P", "-m", "ingress.relay", "--control", str(control.absolute())]
    for name, value in settings._asdict().items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    return command


async def _read_all(file: int) -> str:
    """Until the other end closes it, or START_LIMIT."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(file, "rb"))
    try:
        return (await asyncio.wait_for(reader.read(), START_LIMIT)).decode(errors="replace")
    except TimeoutError:
        return f"no answer within {START_LIMIT:.0f} s"
    finally:
        transport.close()


async def _readable(file: int, within: float) -> bool:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(file, readable.set)
    try:
        return await asyncio.wait_for(readable.wait(), within)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(file)
