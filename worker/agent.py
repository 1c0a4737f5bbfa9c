"""The node's agent: holds a session with the leader and does what it is told; without managers it carries on."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from core.clock import Clock
from core.model import Dependency, DependencyKey, IngressAck, IngressState, NodeDescription, PublishedPorts, Task
from proto import dispatcher_pb2 as pb
from worker.database import Database
from worker.dependencies import Dependencies
from worker.executor import Controller, Executor
from worker.keeper import SessionKeeper
from worker.link import Connect
from worker.managers import ManagerList
from worker.node_watch import NodeWatch
from worker.published import PortsFollower
from worker.reporter import Reporter
from worker.session import Session
from worker.worker import Worker


class Agent:
    """`managers` are the addresses to begin with; those of the last run, if `database` knows any, come first.
    `addr` is where the node wants to be reached, empty for the address its connections come from.
    `dependencies`, which `executor` may read from, are the secrets and configs of its tasks.
    `on_info` is called, on the loop, with what the leader says of the node and the cluster: at once and on change.
    `held` tells which certificate the node holds, and whom it trusts."""

    def __init__(
        self,
        *,
        connect: Connect,
        managers: Sequence[str],
        executor: Executor,
        database: Database,
        published_ports: PublishedPorts,
        clock: Clock,
        rng: Random,
        on_info: Callable[[pb.SessionInfo], None],
        held: Callable[[], pb.HeldCertificate] = pb.HeldCertificate,
        addr: str = "",
        dependencies: Dependencies | None = None,
    ) -> None:
        self.addr = addr
        self._connect = connect
        self._managers = ManagerList([*database.managers(), *managers])
        self._executor = executor
        self._dependencies = dependencies or Dependencies()
        self._database = database
        self._on_info = on_info
        self._held = held
        self._reporter = Reporter()
        self._worker = Worker(executor, database, self._reporter, clock)
        self._ports = PortsFollower(published_ports)
        self._node = NodeWatch(executor, self.reconnect)
        self._keeper = SessionKeeper(self._managers, rng, self._hold)
        self._keeping: asyncio.Task[None] | None = None
        self._session: Session | None = None
        self._connected = False

    @property
    def connected(self) -> bool:
        """Whether a manager has welcomed this node and the session lasts."""
        return self._connected

    @property
    def refusal(self) -> str:
        """Why managers refuse this node (it was removed, its certificate has expired); empty if they do not."""
        return self._keeper.refusal

    @property
    def removal(self) -> str:
        """That this node was removed from the cluster, if a manager has said so; empty otherwise."""
        return self._keeper.removal

    @property
    def managers(self) -> Sequence[str]:
        """Addresses of all known managers, the leader's first while `connected`."""
        return self._managers.addrs

    async def run(self) -> None:
        """Until cancelled. Containers then stay as they are, and everything is on disk."""
        try:
            await self._node.look()
            self._worker.resume()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._executor.run())
                group.create_task(self._node.run())
                group.create_task(self._ports.run())
                self._keeping = group.create_task(self._keeper.run())
        finally:
            await self._worker.close()
            await self._executor.close()
            await self._database.close()

    def reconnect(self) -> None:
        """Opens a new session at once: the node's certificate, address or description has changed."""
        if self._session is not None:
            self._session.end()

    def trust_changed(self) -> None:
        """`held` tells something else, but of the same certificate: the managers hear of it."""
        if self._session is not None and self._connected:
            self._session.holds(self._held())

    def know_managers(self, addrs: Sequence[str]) -> None:
        """The managers' addresses, from whoever knows them: a manager's own node need not wait for a session."""
        if self._managers.replace(addrs):
            self._database.put_managers(self._managers.addrs)

    async def leave(self) -> None:
        """Ends the session for good, then stops and removes every container of ours. To be called while `run` runs;
        it takes as long as the engine needs, for ever if that does not answer."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        await self._worker.remove_everything()

    async def _hold(self, addr: str, patience: float) -> None:
        async with self._connect(addr) as dispatcher:
            self._session = Session(dispatcher, self, self._reporter)
            try:
                await self._session.run(self._described(), self.addr, patience)
            finally:
                self._session = None
                self._connected = False

    def _described(self) -> NodeDescription:
        held = self._held()
        return replace(self._node.description, certificate_issuer=held.issuer, trust_root=held.trust_root)

    def on_welcome(self) -> None:
        self._connected = True
        self._keeper.welcomed()

    def on_info(self, info: pb.SessionInfo) -> None:
        self.know_managers([manager.addr for manager in info.managers if manager.addr])
        self._on_info(info)

    def on_dependencies(self, complete: bool, held: list[Dependency], removed: list[DependencyKey]) -> None:
        if complete:
            self._dependencies.replace(held)
        else:
            self._dependencies.update(held, removed)

    def on_complete(self, tasks: list[Task]) -> None:
        self._worker.assign(tasks)
        self._reporter.restart(self._worker.statuses())

    def on_incremental(self, tasks: list[Task], removed: list[str]) -> None:
        self._worker.update(tasks, removed)

    def on_released(self, task_ids: list[str]) -> None:
        self._worker.release(task_ids)

    def on_ingress(self, state: IngressState) -> None:
        assert self._session is not None
        self._ports.offer(state, self._session.acknowledge)

    def ports_changed(self, ack: IngressAck) -> None:
        """A published port has become free, or been lost, without a new state: the managers hear of it."""
        if self._session is not None and self._connected:
            self._session.acknowledge(ack)

    async def controller(self, task_id: str) -> Controller | None:
        return await self._worker.controller(task_id)
