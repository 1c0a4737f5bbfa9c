"""The daemon's process: started, told to stop, stopped in order."""

import asyncio
import os
import signal
from contextlib import suppress

import uvloop

from core import logs
from core.errors import PyswarmError
from core.interpreter import tune_interpreter
from pyswarm.engineapi.app import make_app
from pyswarm.engineapi.server import Server
from pyswarm.node.config import DaemonConfig
from pyswarm.node.local import LocalNodeApi
from pyswarm.node.metrics import MetricsServer
from pyswarm.node.state import StateDir

__all__ = ["DaemonConfig", "run"]

_NICENESS = -10

log = logs.logger("node")


def run(config: DaemonConfig) -> int:
    """Serves until SIGTERM or SIGINT. The process's exit status."""
    _come_first()
    tune_interpreter()
    logs.configure("json" if config.log_format == "json" else "human", config.log_level)
    try:
        uvloop.run(_serve(config))
    except PyswarmError as error:
        log.critical("the daemon cannot run", reason=error.message)
        return 1
    except OSError as error:
        folders = f"{config.state_dir} and {config.socket.parent}"
        log.critical("the daemon cannot run", reason=f"{error}; it must be able to write to {folders}")
        return 1
    return 0


def _come_first() -> None:
    """A manager that waits for its turn behind the containers it starts is taken for dead by the others: where it may,
    the daemon goes before them and their engine."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


async def _serve(config: DaemonConfig) -> None:
    state = StateDir(config.state_dir)
    node = LocalNodeApi(config, state)
    server = Server(make_app(node), config.socket)
    metrics = MetricsServer(config.metrics_addr, node)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    try:
        await server.start()
        await metrics.start()
        log.info("daemon started", state_dir=str(config.state_dir), socket=str(config.socket))
        resuming = asyncio.create_task(node.resume())
        await told.wait()
        log.info("daemon stops; containers and published ports stay")
        resuming.cancel()
        await asyncio.gather(resuming, return_exceptions=True)
    finally:
        await metrics.stop()
        await server.stop()
        await node.stop()
        state.close()
