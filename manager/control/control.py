"""The control API over this manager's own store."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

from core.clock import Clock
from core.errors import InvalidArgument, NotFound
from core.ids import ID_LENGTH, base36, new_id
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
from manager.control import cluster as clusters
from manager.control import dependencies, nodes, services
from manager.control.api import NOTHING, Filters, Rotations
from manager.control.counts import KnownCounts, TaskCounts
from manager.control.dependencies import without_data
from manager.control.explain import Scratch, dry_run, explain_service, explain_task
from manager.control.filters import filter_dependencies, filter_nodes, filter_services, filter_tasks
from manager.control.lookup import find_config, find_node, find_secret, find_service, find_task
from manager.control.names import name_for
from manager.control.validation import (
    validate_cluster_spec,
    validate_data,
    validate_dependency_spec,
    validate_labels,
    validate_node_spec,
    validate_service_spec,
)
from manager.replicator import Replicator
from manager.store import Store
from manager.watch import Changes, Selector, Watches
from raft import Member

MAX_REQUEST_ID = 64

T = TypeVar("T", Node, Service)
Logs = Callable[[Sequence[str], Sequence[str], LogOptions], AsyncGenerator[LogLine, None]]
"""The log broker, asked with the ids of services and of tasks."""


class Control:
    """A ControlApi. On a manager that does not lead, what changes something raises NotLeader.

    `is_suspect` tells of a node's id whether its connection is broken just now.
    """

    def __init__(
        self,
        store: Store,
        replicator: Replicator,
        clock: Clock,
        *,
        read_barrier: Callable[[], Awaitable[None]],
        members: Callable[[], Sequence[Member]],
        logs: Logs,
        is_suspect: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._replicator = replicator
        self._clock = clock
        self._read_barrier = read_barrier
        self._members = members
        self._logs = logs
        self._is_suspect = is_suspect
        self._counts = KnownCounts(store)
        self._watches = Watches(store)

    def close(self) -> None:
        """Every watch ends."""
        self._watches.close()

    async def get_cluster(self) -> Cluster:
        await self._read_barrier()
        return clusters.without_keys(clusters.read_cluster(self._store))

    async def get_unlock_key(self) -> bytes:
        await self._read_barrier()
        return clusters.read_cluster(self._store).unlock_key

    async def update_cluster(self, version: int, spec: ClusterSpec, rotations: Rotations = NOTHING) -> Cluster:
        validate_cluster_spec(spec)
        now = self._clock.now()
        await self._replicator.update(lambda tx: clusters.update_cluster(tx, version, spec, rotations, now))
        return clusters.without_keys(clusters.read_cluster(self._store))

    async def list_nodes(self, filters: Filters) -> list[Node]:
        await self._read_barrier()
        members = self._members()
        return [nodes.with_manager_status(node, members) for node in filter_nodes(self._store, filters)]

    async def get_node(self, ref: str) -> Node:
        await self._read_barrier()
        return nodes.with_manager_status(find_node(self._store, ref), self._members())

    async def update_node(self, node_id: str, version: int, spec: NodeSpec) -> Node:
        validate_node_spec(spec)
        await self._replicator.update(lambda tx: nodes.update_node(tx, node_id, version, spec, self._members()))
        return nodes.with_manager_status(_still(self._store.node(node_id), "node", node_id), self._members())

    async def remove_node(self, ref: str, force: bool) -> None:
        now = self._clock.now()
        await self._replicator.update(lambda tx: nodes.remove_node(tx, ref, force, self._members(), now))

    async def create_service(self, spec: ServiceSpec, request_id: bytes) -> Service:
        service_id = _id_for(request_id)
        spec = _complete(spec, service_id)
        now = self._clock.now()
        await self._replicator.update(lambda tx: services.create_service(tx, service_id, spec, now))
        return self._service(service_id)

    async def list_services(self, filters: Filters) -> list[tuple[Service, TaskCounts]]:
        await self._read_barrier()
        found = filter_services(self._store, filters)
        errors = services.port_errors(self._store)
        return [(services.with_port_errors(service, errors), self._counts.of(service)) for service in found]

    async def get_service(self, ref: str) -> Service:
        await self._read_barrier()
        return services.with_port_errors(find_service(self._store, ref), services.port_errors(self._store))

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> Service:
        validate_service_spec(spec)
        now = self._clock.now()
        await self._replicator.update(lambda tx: services.update_service(tx, service_id, version, spec, now))
        return self._service(service_id)

    async def rollback_service(self, service_id: str, version: int) -> Service:
        now = self._clock.now()
        await self._replicator.update(lambda tx: services.rollback_service(tx, service_id, version, now))
        return self._service(service_id)

    async def rebalance_service(self, ref: str, max_unavailable: int, order: UpdateOrder) -> Service:
        service_id, now = find_service(self._store, ref).id, self._clock.now()
        await self._replicator.update(
            lambda tx: services.rebalance_service(tx, service_id, max_unavailable, order, now)
        )
        return self._service(service_id)

    async def remove_service(self, ref: str) -> None:
        await self._replicator.update(lambda tx: services.remove_service(tx, ref))

    async def dry_run_service(self, spec: ServiceSpec) -> Explanation:
        service_id = new_id()
        spec = _complete(spec, service_id)
        await self._read_barrier()
        return await self._ask(lambda scratch: dry_run(scratch, service_id, spec, new_id))

    async def explain_service(self, ref: str) -> Explanation:
        await self._read_barrier()
        service = find_service(self._store, ref)
        return await self._ask(lambda scratch: explain_service(scratch, service))

    async def explain_task(self, ref: str) -> Explanation:
        await self._read_barrier()
        task = find_task(self._store, ref)
        return await self._ask(lambda scratch: explain_task(scratch, task))

    async def create_dependency(self, spec: DependencySpec, request_id: bytes) -> str:
        item_id = _id_for(request_id)
        validate_dependency_spec(spec)
        await self._replicator.update(lambda tx: dependencies.create(tx, item_id, spec))
        return item_id

    async def update_dependency(self, item_id: str, version: int, spec: DependencySpec) -> None:
        validate_labels(spec)
        await self._replicator.update(lambda tx: dependencies.update(tx, item_id, version, spec))

    async def add_dependency_version(self, kind: DependencyKind, ref: str, data: bytes, request_id: bytes) -> str:
        made_id = _id_for(request_id)
        validate_data(kind, data)
        services_left = True
        while services_left:
            version_id, services_left = await self._replicator.update(
                lambda tx: dependencies.add_version(tx, kind, ref, data, made_id)
            )
        return version_id

    async def remove_dependency(self, kind: DependencyKind, ref: str) -> None:
        await self._replicator.update(lambda tx: dependencies.remove(tx, kind, ref))

    async def list_secrets(self, filters: Filters) -> list[Secret]:
        await self._read_barrier()
        return [without_data(secret) for secret in filter_dependencies(self._store.secrets(), filters)]

    async def get_secret(self, ref: str) -> Secret:
        await self._read_barrier()
        return without_data(find_secret(self._store, ref))

    async def list_configs(self, filters: Filters) -> list[Config]:
        await self._read_barrier()
        return filter_dependencies(self._store.configs(), filters)

    async def get_config(self, ref: str) -> Config:
        await self._read_barrier()
        return find_config(self._store, ref)

    async def list_tasks(self, filters: Filters) -> list[Task]:
        await self._read_barrier()
        return filter_tasks(self._store, filters)

    async def get_task(self, ref: str) -> Task:
        await self._read_barrier()
        return find_task(self._store, ref)

    async def past(self, selectors: Sequence[Selector], since: int) -> tuple[list[Changes], int]:
        await self._read_barrier()
        return self._watches.past(selectors, since)

    def watch(self, selectors: Sequence[Selector], after: int | None = None) -> AsyncGenerator[Changes, None]:
        return self._watches.follow(selectors, after)

    async def logs(
        self, service_refs: Sequence[str], task_refs: Sequence[str], options: LogOptions
    ) -> AsyncGenerator[LogLine, None]:
        await self._read_barrier()
        service_ids = [find_service(self._store, ref).id for ref in service_refs]
        task_ids = [find_task(self._store, ref).id for ref in task_refs]
        async with aclosing(self._logs(service_ids, task_ids, options)) as lines:
            async for line in lines:
                yield line

    async def _ask(self, question: Callable[[Scratch], Explanation]) -> Explanation:
        """The answer of a copy of the store, off the loop: a large cluster takes a while."""
        copy, now = self._store.copy(), self._clock.now()
        suspects = frozenset(node.id for node in self._store.nodes() if self._is_suspect(node.id))
        return await asyncio.to_thread(lambda: question(Scratch(copy(), suspects, now)))

    def _service(self, service_id: str) -> Service:
        return _still(self._store.service(service_id), "service", service_id)


def _id_for(request_id: bytes) -> str:
    """The id of what a request makes: again the same when it is made again."""
    if not 0 < len(request_id) <= MAX_REQUEST_ID:
        raise InvalidArgument(f"a request id has 1 to {MAX_REQUEST_ID} bytes")
    return base36(int.from_bytes(hashlib.sha256(request_id).digest()[:16], "big"), ID_LENGTH)


def _complete(spec: ServiceSpec, service_id: str) -> ServiceSpec:
    """`spec` with a name. Raises what the validation raises."""
    if not spec.name:
        spec = replace(spec, name=name_for(service_id))
    validate_service_spec(spec)
    return spec


def _still(item: T | None, noun: str, item_id: str) -> T:
    """An object that was written a moment ago. Raises NotFound if somebody has removed it since."""
    if item is None:
        raise NotFound(f"{noun} {item_id} not found")
    return item
