"""The cluster as its users see it, in the model's types: the one interface above consensus."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

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
from manager.control.counts import TaskCounts
from manager.watch import Changes, Selector


@dataclass(frozen=True, slots=True)
class Rotations:
    """What else an update of the cluster replaces: join tokens, the key that unlocks managers, the root."""

    worker_token: bool = False
    manager_token: bool = False
    unlock_key: bool = False
    root_cert: bytes = b""
    """PEM, with `root_key`: the root to change to. Empty: a new one, if the spec's `force_rotate` has changed."""
    root_key: bytes = field(default=b"", repr=False)


NOTHING = Rotations()

Filters = Mapping[str, Sequence[str]]
"""Docker's list filters: all keys must match, and within a key any value (of labels: all)."""


class LeaderApi(Protocol):
    """What only the leader can do, or knows: every manager passes these calls on to it.

    Errors are of core.errors. Every method may raise NotLeader, NoQuorum and Unavailable, a write UnknownOutcome.

    A `ref` is an id, a name (of a node: its hostname), or the unambiguous beginning of an id: NotFound if it is none,
    InvalidArgument if it is ambiguous. A `version` is the `meta.version` that the change was made from: OutOfSequence
    if the object has changed since. Objects come back as stored, with every change that was acknowledged before.
    """

    async def update_cluster(self, version: int, spec: ClusterSpec, rotations: Rotations = NOTHING) -> Cluster: ...

    async def list_nodes(self, filters: Filters) -> list[Node]:
        """With which managers the leader can reach."""
        ...

    async def get_node(self, ref: str) -> Node: ...

    async def update_node(self, node_id: str, version: int, spec: NodeSpec) -> Node:
        """A role takes effect after the call. FailedPrecondition for a demotion that would lose the quorum."""
        ...

    async def remove_node(self, ref: str, force: bool) -> None:
        """FailedPrecondition for a manager, and unless forced for a node that is ready."""
        ...

    async def create_service(self, spec: ServiceSpec, request_id: bytes) -> Service:
        """Any number of times with one `request_id` makes one service."""
        ...

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> Service: ...

    async def rollback_service(self, service_id: str, version: int) -> Service:
        """Swaps the spec and the previous one; FailedPrecondition if there is none."""
        ...

    async def rebalance_service(self, ref: str, max_unavailable: int, order: UpdateOrder) -> Service:
        """Spreads the tasks of a replicated service again; `Service.rebalance` tells how far that has come.

        FailedPrecondition while it is being updated.
        """
        ...

    async def remove_service(self, ref: str) -> None: ...

    async def dry_run_service(self, spec: ServiceSpec) -> Explanation:
        """Where the tasks of such a service would go, were it created now. Changes nothing; raises what
        `create_service` raises."""
        ...

    async def explain_service(self, ref: str) -> Explanation:
        """What each node says to one more task of the service, or to those that wait."""
        ...

    async def explain_task(self, ref: str) -> Explanation: ...

    async def create_dependency(self, spec: DependencySpec, request_id: bytes) -> str:
        """A secret or a config; its id. Any number of times with one `request_id` makes one."""
        ...

    async def update_dependency(self, item_id: str, version: int, spec: DependencySpec) -> None:
        """Its labels: InvalidArgument for any other change. Empty data stands for what it has."""
        ...

    async def add_dependency_version(self, kind: DependencyKind, ref: str, data: bytes, request_id: bytes) -> str:
        """Makes `data` the newest version, and updates to it every service that uses an older one; its id.

        Any number of times with one `request_id`, or with the same data, makes one; but once its version has been
        superseded and is gone, because nothing uses it, a request made again makes it anew. FailedPrecondition while
        an update or a rollback of one of these services is unfinished or paused: then nothing has changed. If one
        begins just while very many services are changed, some are not: the same data again goes on with these.
        """
        ...

    async def remove_dependency(self, kind: DependencyKind, ref: str) -> None:
        """With all its versions. InvalidArgument while a service uses one."""
        ...

    def logs(
        self, service_refs: Sequence[str], task_refs: Sequence[str], options: LogOptions
    ) -> AsyncGenerator[LogLine, None]: ...


class ControlApi(LeaderApi, Protocol):
    """Everything. These any manager answers from its own memory, once that is not behind what was acknowledged."""

    async def get_cluster(self) -> Cluster:
        """With the join tokens, without the root's key and the unlock key."""
        ...

    async def get_unlock_key(self) -> bytes:
        """Empty where managers are not locked."""
        ...

    async def list_services(self, filters: Filters) -> list[tuple[Service, TaskCounts]]: ...

    async def get_service(self, ref: str) -> Service: ...

    async def list_secrets(self, filters: Filters) -> list[Secret]:
        """The newest version of each. Data is in no answer."""
        ...

    async def get_secret(self, ref: str) -> Secret: ...

    async def list_configs(self, filters: Filters) -> list[Config]:
        """The newest version of each."""
        ...

    async def get_config(self, ref: str) -> Config: ...

    async def list_tasks(self, filters: Filters) -> list[Task]: ...

    async def get_task(self, ref: str) -> Task: ...

    async def past(self, selectors: Sequence[Selector], since: int) -> tuple[list[Changes], int]:
        """The changes since `since` (nanoseconds since the epoch) that are still known, and the version to `watch`
        after without a gap."""
        ...

    def watch(self, selectors: Sequence[Selector], after: int | None = None) -> AsyncGenerator[Changes, None]:
        """What manager.watch's `follow` gives."""
        ...
