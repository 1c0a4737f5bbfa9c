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
from manager.config import Founding, ManagerConfig
from manager.manager import Manager
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
from pyswarm.node.keychain import Keychain
from pyswarm.node.leaving import if_engine_answers
from pyswarm.node.locking import Locker
from pyswarm.node.renewal import Renewer, Wanted, ask_managers
from pyswarm.node.role import ManagerRole
from pyswarm.node.state import Membership, StateDir
from worker.agent import Agent
from worker.database import SqliteDatabase
from worker.dependencies import Dependencies
from worker.executor.docker import DockerExecutor
from worker.executor.docker.files import TaskFiles
from worker.link import over_channel

_ANY_ADDRESS = "0.0.0.0:2377"

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
        keychain: Keychain,
        founding: Founding | None = None,
    ) -> None:
        self.address = own_address(config, membership)
        self._told_managers: tuple[ManagerPeer, ...] = ()
        self._fault = ""
        self._config = config
        self._state = state
        self._listen = listen_address(config, membership)
        self._credentials = credentials
        self.keychain = keychain
        self._leaf = credentials.bundle.certificate
        self._clock = SteadyClock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ports = RelayPorts(state.relay_socket, credentials, on_ports=lambda ack: self._agent.ports_changed(ack))
        dependencies = Dependencies()
        files = TaskFiles(state.mounts, dependencies)
        self._agent = Agent(
            connect=over_channel(credentials.channel),
            managers=membership.managers,
            executor=DockerExecutor(
                self.identity.cluster_id,
                self.identity.node_id,
                files,
                config.engine,
                generic_resources=config.generic_resources,
            ),
            database=SqliteDatabase(state.worker_database),
            published_ports=self._ports,
            clock=self._clock,
            rng=Random(),
            on_info=self._on_info,
            held=self._held,
            addr=self.address.host,
            dependencies=dependencies,
        )
        self._locker = Locker(keychain, Backoff(Random(), first=1.0, limit=30.0))
        self._role = ManagerRole(
            credentials,
            self._agent,
            str(self.address),
            self._new_manager,
            self._locker.follow,
            state.wipe_raft,
            self._spawn,
            founding,
        )
        self._renewer = Renewer(credentials, keychain.save, self._ask, WallClock(), Random())

    @property
    def identity(self) -> NodeIdentity:
        return self._credentials.identity

    @property
    def manager(self) -> Manager | None:
        return self._role.manager

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
    def removal(self) -> str:
        """That this node was removed from the cluster, if a manager has said so; empty otherwise."""
        return self._agent.removal

    @property
    def error(self) -> str:
        """What the node's owner should do something about; empty when all is well."""
        agent, role, renewer, locker = self._agent, self._role, self._renewer, self._locker
        parts = (agent.removal, self._fault, role.problem, renewer.problem, locker.problem, agent.refusal)
        return next(filter(None, parts), "")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What this node does not do for its cluster, though all is well with itself."""
        return tuple(error.message for error in self._ports.unserved)

    async def enter(self) -> None:
        """The first start. Returns once a founding manager leads, or a joining one is a member."""
        if self.identity.role is Role.MANAGER:
            try:
                await self._role.start()
            except PyswarmError:
                await withdraw(self._agent.managers, self._credentials)
                raise
        await self._run()

    async def resume(self) -> None:
        """Goes on after a restart. What hinders the manager (its disk, the others) keeps nothing else from running."""
        self._role.look_again()
        await self._run()

    async def until_role_tried(self) -> None:
        """After `resume`: returns once its manager runs, or something hinders it, which `error` says."""
        await self._role.tried()

    async def _run(self) -> None:
        await self._ports.start()
        self._spawn(self._agent.run())
        self._spawn(self._renewer.run())
        self._spawn(self._follow_certificate())

    async def stop(self) -> None:
        """In order, so that whoever loses something loses it to a successor: first the lead, then the session."""
        await self._role.stop()
        await self._cancel()
        await self._ports.stop()

    async def leave(self) -> None:
        """Stops and removes this node's containers and its relay. The state on disk is the caller's to wipe."""
        await if_engine_answers(self._agent.leave())
        await self._role.stop()
        await self._cancel()
        await self._ports.stop(kill=True)

    def _new_manager(self, founding: bool) -> Manager:
        config = ManagerConfig(
            self._state.raft, str(self.address), self._listen.host, self._listen.port, self.keychain.log_keys
        )
        return Manager(config, self._credentials, self._clock, founding=founding)

    async def _follow_certificate(self) -> None:
        unsubscribe = self._credentials.subscribe(self._on_new_certificate)
        try:
            await self._role.follow()
        finally:
            unsubscribe()

    def _on_new_certificate(self) -> None:
        leaf = self._credentials.bundle.certificate
        if leaf == self._leaf:
            self._agent.trust_changed()
        else:
            self._leaf = leaf
            self._agent.reconnect()
        self._spawn(self._ports.rotate(self._credentials))
        self._role.look_again()

    async def _ask(self, csr: bytes) -> ca_pb2.IssueCertificateResponse:
        """A certificate, from this node's own manager if it is one: it may be the only one there is."""
        if self.manager is not None:
            with suppress(Unavailable):
                return await self.manager.authority.renew_own(csr)
        return await ask_managers(self._credentials, self._agent.managers, csr)

    def _on_info(self, info: dispatcher_pb2.SessionInfo) -> None:
        self._told_managers = tuple(ManagerPeer(peer.node_id, peer.addr) for peer in info.managers)
        self._renewer.want(Wanted(Role(info.node.role), info.certificate_issuer, info.root_ca))

    def _held(self) -> dispatcher_pb2.HeldCertificate:
        """As it is on disk: what is not is lost with the process."""
        credentials = self.keychain.credentials
        return dispatcher_pb2.HeldCertificate(issuer=credentials.issuer, trust_root=credentials.trust_root)

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
