"""The control API on any manager: it answers from its own memory what it can, and passes the rest on to the leader."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import TypeVar

import grpc

from core.errors import NoQuorum, NotLeader, PyswarmError, Unavailable, UnknownOutcome
from core.model import (
    Cluster,
    ClusterSpec,
    Config,
    DependencyKind,
    DependencySpec,
    Explanation,
    LogLine,
    LogOptions,
    Node,
    NodeSpec,
    Secret,
    Service,
    ServiceSpec,
    Task,
    UpdateOrder,
)
from identity.credentials import Credentials
from manager.control.api import NOTHING, ControlApi, Filters, LeaderApi, Rotations
from manager.control.counts import TaskCounts
from manager.control.remote import NotConnected, RemoteControl
from manager.watch import Changes, Selector
from raft import Consensus, Leadership

T = TypeVar("T")
Call = Callable[[LeaderApi], Awaitable[T]]

SETTLE = 3.0
"""Seconds for which a call that found no leader waits for one, before it tries a last time; however long it was under
way before: a leader that falls silent, or a machine that stands still, takes that time and no more."""
GATHER = 1.5
"""Seconds for which it waits if not even a quorum of managers can be reached."""
_LOOK = 0.1
"""Seconds after which it looks again whether one can."""
_NOT_YET = 0.05
_GRACE = 5.0
"""Seconds that calls on a channel have left once there is a new one."""


class RoutedControl:
    """A ControlApi. `local` answers reads of what the log holds, everything if this manager leads.

    A call that meets a change of leader is made again: a read whatever went wrong on the way, a write only if it
    certainly was not made, one that makes something always, as it has a request id.
    """

    def __init__(self, local: ControlApi, consensus: Consensus, credentials: Credentials) -> None:
        self._local = local
        self._consensus = consensus
        self._credentials = credentials
        self._channel: grpc.aio.Channel | None = None
        self._remote: RemoteControl | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._unwatch = (
            consensus.watch_leadership(self._follow),
            credentials.subscribe(lambda: self._drop_channel(_GRACE)),
        )

    async def close(self) -> None:
        """Calls that are under way are cut off."""
        for unwatch in self._unwatch:
            unwatch()
        self._drop_channel(grace=0)
        await asyncio.gather(*self._closing)

    async def get_cluster(self) -> Cluster:
        return await self._read_here(self._local.get_cluster)

    async def get_unlock_key(self) -> bytes:
        return await self._read_here(self._local.get_unlock_key)

    async def update_cluster(self, version: int, spec: ClusterSpec, rotations: Rotations = NOTHING) -> Cluster:
        return await self._write(lambda control: control.update_cluster(version, spec, rotations))

    async def list_nodes(self, filters: Filters) -> list[Node]:
        return await self._read(lambda control: control.list_nodes(filters))

    async def get_node(self, ref: str) -> Node:
        return await self._read(lambda control: control.get_node(ref))

    async def update_node(self, node_id: str, version: int, spec: NodeSpec) -> Node:
        return await self._write(lambda control: control.update_node(node_id, version, spec))

    async def remove_node(self, ref: str, force: bool) -> None:
        await self._write(lambda control: control.remove_node(ref, force))

    async def create_service(self, spec: ServiceSpec, request_id: bytes) -> Service:
        return await self._repeat(lambda control: control.create_service(spec, request_id))

    async def list_services(self, filters: Filters) -> list[tuple[Service, TaskCounts]]:
        return await self._read_here(lambda: self._local.list_services(filters))

    async def get_service(self, ref: str) -> Service:
        return await self._read_here(lambda: self._local.get_service(ref))

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> Service:
        return await self._write(lambda control: control.update_service(service_id, version, spec))

    async def rollback_service(self, service_id: str, version: int) -> Service:
        return await self._write(lambda control: control.rollback_service(service_id, version))

    async def rebalance_service(self, ref: str, max_unavailable: int, order: UpdateOrder) -> Service:
        return await self._write(lambda control: control.rebalance_service(ref, max_unavailable, order))

    async def remove_service(self, ref: str) -> None:
        await self._write(lambda control: control.remove_service(ref))

    async def dry_run_service(self, spec: ServiceSpec) -> Explanation:
        return await self._read(lambda control: control.dry_run_service(spec))

    async def explain_service(self, ref: str) -> Explanation:
        return await self._read(lambda control: control.explain_service(ref))

    async def explain_task(self, ref: str) -> Explanation:
        return await self._read(lambda control: control.explain_task(ref))

    async def create_dependency(self, spec: DependencySpec, request_id: bytes) -> str:
        return await self._repeat(lambda control: control.create_dependency(spec, request_id))

    async def update_dependency(self, item_id: str, version: int, spec: DependencySpec) -> None:
        await self._write(lambda control: control.update_dependency(item_id, version, spec))

    async def add_dependency_version(self, kind: DependencyKind, ref: str, data: bytes, request_id: bytes) -> str:
        return await self._repeat(lambda control: control.add_dependency_version(kind, ref, data, request_id))

    async def remove_dependency(self, kind: DependencyKind, ref: str) -> None:
        await self._write(lambda control: control.remove_dependency(kind, ref))

    async def list_secrets(self, filters: Filters) -> list[Secret]:
        return await self._read_here(lambda: self._local.list_secrets(filters))

    async def get_secret(self, ref: str) -> Secret:
        return await self._read_here(lambda: self._local.get_secret(ref))

    async def list_configs(self, filters: Filters) -> list[Config]:
        return await self._read_here(lambda: self._local.list_configs(filters))

    async def get_config(self, ref: str) -> Config:
        return await self._read_here(lambda: self._local.get_config(ref))

    async def list_tasks(self, filters: Filters) -> list[Task]:
        return await self._read_here(lambda: self._local.list_tasks(filters))

    async def get_task(self, ref: str) -> Task:
        return await self._read_here(lambda: self._local.get_task(ref))

    async def past(self, selectors: Sequence[Selector], since: int) -> tuple[list[Changes], int]:
        return await self._read_here(lambda: self._local.past(selectors, since))

    def watch(self, selectors: Sequence[Selector], after: int | None = None) -> AsyncGenerator[Changes, None]:
        return self._local.watch(selectors, after)

    async def logs(
        self, service_refs: Sequence[str], task_refs: Sequence[str], options: LogOptions
    ) -> AsyncGenerator[LogLine, None]:
        """A stream that breaks is not begun again: what was said would be said twice."""
        async with aclosing(self._leader().logs(service_refs, task_refs, options)) as lines:
            async for line in lines:
                yield line

    async def _read_here(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._again(call, (Unavailable,))

    async def _read(self, call: Call[T]) -> T:
        return await self._ask_leader(call, (Unavailable,))

    async def _write(self, call: Call[T]) -> T:
        return await self._ask_leader(call, (NotLeader, NoQuorum, NotConnected))

    async def _repeat(self, call: Call[T]) -> T:
        """A write with a request id."""
        return await self._ask_leader(call, (Unavailable, UnknownOutcome))

    async def _ask_leader(self, call: Call[T], again_after: tuple[type[PyswarmError], ...]) -> T:
        async def ask() -> T:
            return await call(self._leader())

        return await self._again(ask, again_after)

    async def _again(self, call: Callable[[], Awaitable[T]], again_after: tuple[type[PyswarmError], ...]) -> T:
        missed, unknown = 0.0, False
        while True:
            asked = self._consensus.leadership
            try:
                return await call()
            except again_after as error:
                unknown = unknown or isinstance(error, UnknownOutcome)
                missed = missed or asyncio.get_running_loop().time()
                hopeless = asked.is_leader and not self._consensus.has_quorum
                if hopeless or self._time_left(missed) <= 0:
                    raise self._verdict(error, unknown) from None
                if isinstance(error, NotLeader) and error.leader and error.leader == asked.leader_addr:
                    # It has been chosen, and has its log to apply before it answers.
                    await asyncio.sleep(_NOT_YET)
                else:
                    await self._settled(asked, missed)

    def _verdict(self, error: PyswarmError, unknown: bool) -> PyswarmError:
        """What a call says that is not made again after `error`. `unknown`: some attempt may have made the change."""
        if not self._consensus.has_quorum:
            error = self._consensus.no_leader()  # which says more
        elif isinstance(error, UnknownOutcome):
            return error
        return UnknownOutcome(f"{error.message}; the change may have been made") if unknown else error

    async def _settled(self, asked: Leadership, missed: float) -> None:
        """Until somebody leads in another term than the one that was asked in, but not for ever."""
        while self._consensus.leadership == asked or not self._consensus.leadership.leader_id:
            left = self._time_left(missed)
            if left <= 0:
                return
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK)):
                    await self._changed.wait()

    def _time_left(self, missed: float) -> float:
        """Of what a call has that first found no leader when the loop said `missed`."""
        patience = SETTLE if self._consensus.has_quorum else GATHER
        return missed + patience - asyncio.get_running_loop().time()

    def _leader(self) -> LeaderApi:
        """Raises NotLeader or NoQuorum if nobody is known to lead."""
        leadership = self._consensus.leadership
        if leadership.is_leader:
            return self._local
        if not leadership.leader_id or leadership.leader_id == self._credentials.identity.node_id:
            raise self._consensus.no_leader()
        if self._remote is None:
            self._channel = self._credentials.channel(leadership.leader_addr, server=leadership.leader_id)
            self._remote = RemoteControl(self._channel, leadership.leader_addr)
        return self._remote

    def _follow(self, leadership: Leadership) -> None:
        """Who led until now may still answer what it was asked, unless it has fallen silent."""
        self._changed.set()
        self._drop_channel(_GRACE if leadership.leader_id else 0)

    def _drop_channel(self, grace: float) -> None:
        if self._channel is not None:
            closing = asyncio.create_task(self._channel.close(grace))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        self._channel, self._remote = None, None
