"""A node in its cluster: what runs for as long as it belongs there, wired together."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from random import Random
from typing import Any

from core.backoff import Backoff
from core.clock import SteadyClock, WallClock
from core.errors import PyswarmError, Unavailable
from core.logs import logger
from core.model import Role
from identity.credentials import Credentials
from identity.model import NodeIdentity
from ingress.client import RelayPorts
from manager.manager import Founding, Manager, ManagerConfig
from proto import ca_pb2, dispatcher_pb2
from pyswarm.engineapi.ports import ManagerPeer
from pyswarm.node.addresses import (
    HostPort,
    advertised,
    interface_addresses,
    parse_host_port,
    towards,
)
from pyswarm.node.config import DaemonConfig
from pyswarm.node.join import withdraw
from pyswarm.node.renewal import Renewer, ask_managers
from pyswarm.node.state import Membership, StateDir
from worker.agent import Agent
from worker.database import SqliteDatabase
from worker.executor.docker import DockerExecutor
from worker.link import over_channel

_ANY_ADDRESS = "0.0.0.0:2377"
_ROLE_RETRY, _LONGEST_ROLE_RETRY = 1.0, 8.0
"""Seconds between attempts to become a manager, or to cease to be one: at first, and at most."""
_LEAVE_SECONDS = 60.0

log = logger("node")


def listen_address(config: DaemonConfig, membership: Membership) -> HostPort:
    return parse_host_port(config.listen_addr or membership.listen or _ANY_ADDRESS)


def own_address(config: DaemonConfig, membership: Membership) -> HostPort:
    """Where others reach this node now: as it was told, else as seen from the managers, else its only address.

    Raises InvalidArgument if there is no such address.
    """
    port = listen_address(config, membership).port
    if not membership.advertise:
        for manager in membership.managers:
            if host := towards(manager):
                return HostPort(host, port)
    return advertised(membership.advertise, interface_addresses(), port)


class Member:
    """From `start` to `stop` (the daemon ends, everything else goes on) or `leave` (nothing is left)."""

    def __init__(
        self,
        config: DaemonConfig,
        state: StateDir,
        membership: Membership,
        credentials: Credentials,
        founding: Founding | None = None,
    ) -> None:
        self.address = own_address(config, membership)
        self.manager: Manager | None = None
        self._told_managers: tuple[ManagerPeer, ...] = ()
        self._fault = ""
        self._manager_problem = ""
        self._role_due = asyncio.Event()
        self._config = config
        self._state = state
        self._listen = listen_address(config, membership)
        self._credentials = credentials
        self._founding = founding
        self._clock = SteadyClock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ports = RelayPorts(
            config.state_dir / "relay.sock", credentials, on_ports=lambda ack: self._agent.ports_changed(ack)
        )
        self._agent = Agent(
            connect=over_channel(credentials.channel),
            managers=membership.managers,
            executor=DockerExecutor(self.identity.cluster_id, self.identity.node_id, config.engine),
            database=SqliteDatabase(state.worker_database),
            published_ports=self._ports,
            clock=self._clock,
            rng=Random(),
            on_info=self._on_info,
            addr=self.address.host,
        )
        self._renewer = Renewer(credentials, state.certificates, self._ask, WallClock(), Random())

    @property
    def identity(self) -> NodeIdentity:
        return self._credentials.identity

    @property
    def managers(self) -> tuple[ManagerPeer, ...]:
        """A manager knows them itself, another node has been told."""
        if self.manager is not None:
            return tuple(ManagerPeer(member.node_id, member.addr) for member in self.manager.members)
        return self._told_managers

    @property
    def connected(self) -> bool:
        return self._agent.connected

    @property
    def error(self) -> str:
        """What the node's owner should do something about; empty when all is well."""
        return self._fault or self._manager_problem or self._renewer.problem or self._agent.refusal

    async def enter(self) -> None:
        """The first start. Returns once a founding manager leads, or a joining one is a member."""
        if self.identity.role is Role.MANAGER:
            try:
                await self._start_manager()
            except PyswarmError:
                await withdraw(self._agent.managers, self._credentials)
                raise
        await self._run()

    async def resume(self) -> None:
        """Goes on after a restart. What hinders the manager (its disk, the others) keeps nothing else from running."""
        self._role_due.set()
        await self._run()

    async def _run(self) -> None:
        await self._ports.start()
        self._spawn(self._agent.run())
        self._spawn(self._renewer.run())
        self._spawn(self._follow_role())

    async def stop(self) -> None:
        """In order, so that whoever loses something loses it to a successor: first the lead, then the session."""
        if self.manager is not None:
            await self.manager.stop()
        await self._cancel()
        await self._ports.stop()

    async def leave(self) -> None:
        """Stops and removes this node's containers and its relay. The state on disk is the caller's to wipe."""
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self._agent.leave()
        except TimeoutError:
            log.warning("the engine does not remove the node's containers; they are left", seconds=_LEAVE_SECONDS)
        if self.manager is not None:
            await self.manager.stop()
            self.manager = None
        await self._cancel()
        await self._ports.stop(kill=True)

    async def _start_manager(self) -> None:
        manager = Manager(
            ManagerConfig(self._state.raft, str(self.address), self._listen.host, self._listen.port),
            self._credentials,
            self._clock,
            founding=self._founding is not None,
        )
        try:
            await manager.start(self._founding, self._agent.managers)
        except BaseException:
            await manager.stop()
            raise
        self.manager = manager
        self._spawn(self._watch(manager))
        # Should it be demoted and promoted, it joins like any other.
        self._founding = None
        self._agent.know_managers([str(self.address), *self._agent.managers])

    async def _watch(self, manager: Manager) -> None:
        """A manager that had to stop (its disk is full or broken) is started again until it can go on; meanwhile the
        node's containers and ports are untouched."""
        failure = await manager.ended()
        if failure is not None and self.manager is manager:
            log.error("the manager has stopped; it is started again", reason=failure)
            self._manager_problem = f"the manager on this node has stopped: {failure}"
            self.manager = None
            await manager.stop()
            await asyncio.sleep(_ROLE_RETRY)
            self._role_due.set()

    async def _stop_manager(self) -> None:
        """Its log goes too, also one that could not be read: who is promoted again begins with an empty one."""
        manager, self.manager = self.manager, None
        if manager is not None:
            await manager.stop()
            log.info("this node is no manager any more")
        self._state.wipe_raft()

    async def _follow_role(self) -> None:
        """Is a manager while the certificate says so; the certificate follows what the cluster wants."""
        unsubscribe = self._credentials.subscribe(self._on_new_certificate)
        backoff = Backoff(Random(), first=_ROLE_RETRY, limit=_LONGEST_ROLE_RETRY)
        try:
            while True:
                await self._role_due.wait()
                self._role_due.clear()
                try:
                    await self._take_role()
                except (PyswarmError, OSError) as error:
                    self._role_failed(str(error))
                    await self._until_role_due(backoff.next())
                    self._role_due.set()
                else:
                    self._manager_problem = ""
                    backoff.reset()
        finally:
            unsubscribe()

    def _role_failed(self, reason: str) -> None:
        problem = f"the manager on this node cannot run: {reason}"
        if problem != self._manager_problem:
            log.warning("role not taken yet", role=self.identity.role.name.lower(), reason=reason)
        self._manager_problem = problem

    async def _until_role_due(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._role_due.wait()

    def _on_new_certificate(self) -> None:
        self._agent.reconnect()
        self._spawn(self._ports.rotate(self._credentials))
        self._role_due.set()

    async def _take_role(self) -> None:
        wanted = self.identity.role is Role.MANAGER
        if wanted and self.manager is None:
            await self._start_manager()
            log.info("this node is a manager")
        elif not wanted:
            await self._stop_manager()

    async def _ask(self, csr: bytes) -> ca_pb2.IssueCertificateResponse:
        """A certificate, from this node's own manager if it is one: it may be the only one there is."""
        if self.manager is not None:
            with suppress(Unavailable):
                return await self.manager.authority.renew_own(csr)
        return await ask_managers(self._credentials, self._agent.managers, csr)

    def _on_info(self, info: dispatcher_pb2.SessionInfo) -> None:
        self._told_managers = tuple(ManagerPeer(peer.node_id, peer.addr) for peer in info.managers)
        self._renewer.want_role(Role(info.node.role))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_end)

    def _on_end(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("a part of the node failed", exc_info=failure)
            self._fault = f"a part of the node failed ({failure!r}); see the daemon's log, and start it again"

    async def _cancel(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
