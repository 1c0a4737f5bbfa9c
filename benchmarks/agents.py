"""Many real agents with fake engines, in a process of their own or beside the manager."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from time import time_ns

import uvloop

from core.clock import SECOND, SteadyClock
from core.interpreter import tune_interpreter
from core.logs import configure
from core.model import Role
from identity.credentials import Credentials
from identity.keys import new_key_and_csr
from identity.model import NodeIdentity
from identity.root import issue
from proto import dispatcher_pb2 as pb
from worker.agent import Agent
from worker.database import MemoryDatabase
from worker.executor.fake import FakeExecutor
from worker.link import Connect, over_channel
from worker.published import NoPublishedPorts

_DAY = 24 * 3600 * SECOND
_COMING = 20
"""Agents that are registering at a time."""


@dataclass(frozen=True)
class Authority:
    """What certificates are made with; handed from process to process, as the root's key is a throw-away one."""

    cluster_id: str
    root_cert: bytes
    root_key: bytes

    def credentials(self, node_id: str, role: Role = Role.WORKER) -> Credentials:
        key, csr = new_key_and_csr()
        identity = NodeIdentity(node_id, role, self.cluster_id)
        issued = issue(self.root_cert, self.root_key, csr, identity, time_ns(), _DAY)
        return Credentials(key, issued, self.root_cert)


def run_fleet(authority: Authority, node_ids: Sequence[str], manager: str) -> None:
    """Until the process is killed. For multiprocessing, which spawns it."""
    configure(level="error")
    tune_interpreter()
    with suppress(KeyboardInterrupt):
        uvloop.run(run_agents(authority, node_ids, lambda credentials: over_channel(credentials.channel), manager))


async def run_agents(
    authority: Authority, node_ids: Sequence[str], connect: Callable[[Credentials], Connect], manager: str
) -> None:
    """Until cancelled. They come a few at a time: they share a core, and would time out in each other's handshakes."""
    coming = asyncio.Semaphore(_COMING)
    came: set[str] = set()

    def has_come(info: pb.SessionInfo) -> None:
        if info.node.id not in came:
            came.add(info.node.id)
            coming.release()

    async with asyncio.TaskGroup() as group:
        for node_id in node_ids:
            await coming.acquire()
            link = connect(authority.credentials(node_id))
            group.create_task(_agent(node_id, link, manager, has_come).run())


def _agent(node_id: str, connect: Connect, manager: str, on_info: Callable[[pb.SessionInfo], None]) -> Agent:
    return Agent(
        connect=connect,
        managers=[manager],
        executor=FakeExecutor(hostname=node_id),
        database=MemoryDatabase(),
        published_ports=NoPublishedPorts(),
        clock=SteadyClock(),
        rng=Random(node_id),
        on_info=on_info,
    )
