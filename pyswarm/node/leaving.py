"""What a node takes away when it leaves its cluster, and what that costs the others.

A member takes down its containers and its relay itself. Where none can run, because its keys are locked or something
on its disk is broken, the certificate, which is never locked, still tells which containers are the node's.
"""

import asyncio
from collections.abc import Awaitable

from core.clock import SteadyClock
from core.errors import FailedPrecondition
from core.logs import logger
from identity.files import load_identity
from identity.model import NodeIdentity
from ingress.client import end_relay
from manager.manager import Manager
from pyswarm.node.config import DaemonConfig
from pyswarm.node.state import StateDir
from worker.database import MemoryDatabase
from worker.dependencies import Dependencies
from worker.executor.docker import DockerExecutor
from worker.executor.docker.config import CLUSTER_LABEL
from worker.executor.docker.files import TaskFiles, clear
from worker.reporter import Reporter
from worker.worker import Worker

_ENGINE_SECONDS = 60.0

log = logger("node")


async def take_down(config: DaemonConfig, state: StateDir) -> None:
    """Stops and removes the containers and the relay of a node whose member does not run."""
    identity = _identity(state)
    if identity is not None:
        await if_engine_answers(_remove_containers(config, state, identity))
    await end_relay(state.relay_socket)


async def if_engine_answers(removal: Awaitable[None]) -> None:
    """Waits for `removal` of the node's containers, but not for ever: the engine may be gone for good."""
    try:
        async with asyncio.timeout(_ENGINE_SECONDS):
            await removal
    except TimeoutError:
        log.warning("the engine does not remove the node's containers; they are left", seconds=_ENGINE_SECONDS)


def forget(state: StateDir) -> None:
    """Wipes the state folder. Secrets that cannot be unmounted stay, which is logged, and go when this is next done."""
    clear(state.mounts)
    state.wipe()


def what_leaving_costs(manager: Manager) -> str:
    """Docker's words."""
    managers = len(manager.members)
    if managers == 1:
        return (
            "You are attempting to leave the swarm on a node that is participating as a manager. Removing the last "
            "manager erases all current state of the swarm. Use `--force` to ignore this message."
        )
    return (
        "You are attempting to leave the swarm on a node that is participating as a manager. Removing this node "
        f"leaves {managers - 1} managers out of {managers}. Without a Raft quorum your swarm will be inaccessible. "
        "The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. "
        "Use `--force` to suppress this message."
    )


def _identity(state: StateDir) -> NodeIdentity | None:
    """None, which is logged, if it cannot be read."""
    try:
        identity, reason = load_identity(state.certificates), "there is no certificate"
    except (FailedPrecondition, OSError) as error:
        identity, reason = None, str(error)
    if identity is None:
        log.warning(
            "which containers are this node's is not known; they are left",
            reason=reason,
            advice=f"remove those that `docker ps --all --filter label={CLUSTER_LABEL}` shows with `docker rm --force`",
        )
    return identity


async def _remove_containers(config: DaemonConfig, state: StateDir, identity: NodeIdentity) -> None:
    """All whose labels name the node: without a task of its own, a worker removes whatever it finds."""
    files = TaskFiles(state.mounts, Dependencies())
    executor = DockerExecutor(identity.cluster_id, identity.node_id, files, config.engine)
    worker = Worker(executor, MemoryDatabase(), Reporter(), SteadyClock())
    following = asyncio.create_task(executor.run())
    try:
        await worker.remove_everything()
    finally:
        await worker.close()
        following.cancel()
        await asyncio.wait([following])
        await executor.close()
