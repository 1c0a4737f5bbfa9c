"""This node, as the local API speaks of it: in a cluster or in none, and the ways between the two."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Iterator, Mapping
from typing import Any

from core.errors import FailedPrecondition, InvalidArgument, PyswarmError, Unavailable
from core.logs import logger
from core.model import Role
from identity.files import Locked
from identity.unlock import parse_unlock_key
from manager.manager import Manager
from pyswarm.engineapi.ports import (
    AlreadyInSwarm,
    ControlApi,
    InitRequest,
    JoinRequest,
    LocalNode,
    LocalState,
    NotInSwarm,
    NotLocked,
    NotManager,
    RestoreRequest,
    SwarmLocked,
)
from pyswarm.node.config import DaemonConfig
from pyswarm.node.engine import engine_info
from pyswarm.node.entering import found, join
from pyswarm.node.keychain import load_keychain
from pyswarm.node.leaving import forget, take_down, what_leaving_costs
from pyswarm.node.member import Member
from pyswarm.node.recovery import go_on_alone, has_lost_quorum, received, restore
from pyswarm.node.state import StateDir

_RESUME_RETRY = 5.0
_STARTING = "its manager is starting; try again in a moment"

log = logger("node")


class LocalNodeApi:
    """Implements engineapi's NodeApi. One thing happens at a time: resuming, and the ways in and out."""

    def __init__(self, config: DaemonConfig, state: StateDir) -> None:
        self._config = config
        self._state = state
        self._member: Member | None = None
        self._error = ""
        self._pending = False
        self._locked = False
        self._unlock_key = b""
        """What opens the keys on disk, as far as has been said since the daemon began."""
        self._changing = asyncio.Lock()
        self._resuming: asyncio.Task[None] | None = None

    @property
    def engine_url(self) -> str:
        return self._config.engine

    @property
    def manager(self) -> Manager | None:
        return self._member.manager if self._member is not None else None

    @property
    def connected(self) -> bool:
        return self._member is not None and self._member.connected

    async def resume(self) -> None:
        """Goes on where the node was, if it belongs to a cluster. What hinders it is logged, shown by `status`, and
        tried again until it is mended, or the node leaves; a locked one waits for `unlock`."""
        while True:
            async with self._changing:
                try:
                    await self._resume()
                    self._error = ""
                    return
                except Locked as error:
                    if not self._locked:
                        log.warning("this manager is locked", advice=error.message)
                    self._locked = True
                    return
                except (PyswarmError, OSError) as error:
                    if str(error) != self._error:
                        log.error("the node cannot go on yet", reason=str(error))
                    self._error = str(error)
            await asyncio.sleep(_RESUME_RETRY)

    async def _resume(self) -> None:
        membership = self._state.load()
        if membership is None or self._member is not None:
            return
        keychain = load_keychain(self._state.certificates, self._unlock_key)
        if keychain is None:
            raise FailedPrecondition(
                f"{self._state.certificates} holds no certificate; `pyswarm leave --force`, then join again"
            )
        self._locked = False
        member = Member(self._config, self._state, membership, keychain.credentials, keychain)
        await self._start(member, member.resume())

    async def init(self, request: InitRequest) -> str:
        async with self._changing:
            if request.force_new_cluster:
                return await self._go_on_alone(request)
            self._check_free()
            return await self._enter(found(self._config, self._state, request))

    async def join(self, request: JoinRequest) -> None:
        async with self._changing:
            self._check_free()
            await self._enter(join(self._config, self._state, request))

    async def restore(self, request: RestoreRequest, backup: AsyncIterable[bytes]) -> str:
        """The node is free for other things while `backup` arrives."""
        self._check_free()
        try:
            async with received(backup, self._state.path) as file, self._changing:
                self._check_free()
                return await self._enter(restore(self._config, self._state, request, file))
        except OSError as error:
            raise self._disk_failed(error) from error

    async def leave(self, force: bool) -> None:
        async with self._changing:
            if self._member is None and not self._error and not self._locked:
                raise NotInSwarm
            if self._locked and not force:
                raise SwarmLocked
            if self._member is not None:
                if self._member.manager is not None and not force:
                    raise Unavailable(what_leaving_costs(self._member.manager))
                await self._member.leave()
                self._member = None
            else:
                await take_down(self._config, self._state)
            forget(self._state)
            self._error, self._locked, self._unlock_key = "", False, b""
            log.info("the node left its cluster")

    async def stop(self) -> None:
        """The daemon ends; containers and the relay go on."""
        if self._resuming is not None:
            self._resuming.cancel()
            await asyncio.gather(self._resuming, return_exceptions=True)
        if self._member is not None:
            await self._member.stop()

    def status(self) -> LocalNode:
        member = self._member
        if self._locked:
            return LocalNode(state="locked", error=SwarmLocked().message)
        if member is None:
            state: LocalState = "error" if self._error else "pending" if self._pending else "inactive"
            return LocalNode(state=state, error=self._error)
        return LocalNode(
            node_id=member.identity.node_id,
            addr=member.address.host,
            state="error" if member.error else "active",
            is_manager=member.manager is not None,
            remote_managers=member.managers,
            error=member.error,
            warnings=member.warnings,
        )

    def control(self) -> ControlApi:
        return self._running_manager().control

    async def backup(self, passphrase: str) -> Iterator[bytes]:
        return await self._running_manager().backup(passphrase)

    async def unlock(self, key: str) -> None:
        async with self._changing:
            if not self._locked:
                if self._member is not None and self._member.identity.role is Role.MANAGER:
                    raise NotLocked
                raise NotManager(in_swarm=self._member is not None)
            self._unlock_key = parse_unlock_key(key)
            try:
                await self._resume()
            except Locked as error:
                raise InvalidArgument(f"swarm could not be unlocked: invalid key provided: {error.message}") from None
            except (PyswarmError, OSError) as error:
                self._error = str(error)
                self._resuming = asyncio.create_task(self.resume())
                raise
            log.info("this manager is unlocked")
            if self._member is not None:
                await self._member.until_role_tried()

    def _running_manager(self) -> Manager:
        if self.manager is not None:
            self._check_not_removed()
            return self.manager
        if self._locked:
            raise SwarmLocked
        member = self._member
        if self._error or (member is not None and member.identity.role is Role.MANAGER):
            raise Unavailable(f"This node cannot answer for its swarm: {self.status().error or _STARTING}")
        raise NotManager(in_swarm=member is not None)

    async def engine_info(self) -> Mapping[str, Any]:
        return await engine_info(self._config.engine)

    def _check_not_removed(self) -> None:
        """Its own log may not know that yet, and would have the user look for the managers that it knows."""
        if self._member is not None and self._member.removal:
            raise Unavailable(f"This node cannot answer for its swarm: {self._member.removal}")

    def _check_free(self) -> None:
        if self._locked:
            raise SwarmLocked
        if self._member is not None or self._error:
            raise AlreadyInSwarm

    async def _enter(self, entering: Awaitable[Member]) -> str:
        """Becomes the member that `entering` makes; if that fails, is what it was before."""
        self._pending = True
        try:
            forget(self._state)  # a crash may have come before the last step of an earlier attempt
            member = await entering
            await self._start(member, member.enter())
        except OSError as error:
            forget(self._state)
            raise self._disk_failed(error) from error
        except BaseException:
            forget(self._state)
            raise
        finally:
            self._pending = False
        return member.identity.node_id

    async def _go_on_alone(self, request: InitRequest) -> str:
        """If that fails, goes on as what the disk says that it is."""
        if self._locked:
            raise SwarmLocked
        self._check_not_removed()
        was_running = self._member is not None
        unlock_key = self._unlock_key if self._member is None else self._member.keychain.unlock_key
        sure = was_running and await has_lost_quorum(lambda: self.manager)
        try:
            member = await go_on_alone(self._config, self._state, request, self._pause, sure, unlock_key)
            await self._start(member, member.enter())
        except Exception as error:
            if was_running and self._member is None:
                self._error = str(error) or repr(error)  # never empty: the node would pass for a free one
                self._resuming = asyncio.create_task(self.resume())
            if isinstance(error, OSError):
                raise self._disk_failed(error) from error
            raise
        self._error = ""
        log.warning("this manager goes on alone: its cluster had lost its quorum")
        return member.identity.node_id

    def _disk_failed(self, error: OSError) -> Unavailable:
        return Unavailable(f"{error}: make room or mend the disk that holds {self._state.path}")

    async def _pause(self) -> None:
        if self._member is not None:
            self._unlock_key = self._member.keychain.unlock_key
            await self._member.stop()
            self._member = None

    async def _start(self, member: Member, starting: Awaitable[None]) -> None:
        self._member = member
        try:
            await starting
        except BaseException:
            self._member = None
            await member.stop()
            raise
