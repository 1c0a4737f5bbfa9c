"""The socket that the application is served on."""

import os
import shutil
import socket
import stat
from pathlib import Path

from aiohttp import web

from core.errors import FailedPrecondition

_MODE = 0o660
_BACKLOG = 128
_GRACE = 1.0
"""Seconds that open requests (followed logs) are given when the daemon stops."""


class Server:
    """Serves `app` on the unix socket `path`: for root and, if one is named, for `group`.

    Who may open the socket may do anything on the cluster, and so on its hosts.
    """

    def __init__(self, app: web.Application, path: Path, group: str | None = None) -> None:
        self._path = path
        self._group = group
        # A compressed body stays as it is, as with dockerd: it is for the engine, with the header that says so.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE, auto_decompress=False
        )

    async def start(self) -> None:
        """Raises FailedPrecondition if another daemon serves the path, or something else lies there."""
        listener = _listen(self._path, self._group)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        await self._runner.cleanup()
        self._path.unlink(missing_ok=True)


def _listen(path: Path, group: str | None) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(_MODE)
    if group is not None:
        shutil.chown(path, group=group)
    listener.listen(_BACKLOG)
    return listener


def _clear(path: Path) -> None:
    """Removes the socket of a daemon that is gone."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FailedPrecondition(f"{path} exists and is not a socket: remove it, or choose another with --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise FailedPrecondition(f"another daemon serves {path}: stop it first, or choose another socket with --socket")
