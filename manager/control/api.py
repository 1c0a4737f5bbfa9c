"""The cluster as its users see it, in the model's types: the one interface above consensus."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from core.model import Cluster, ClusterSpec, LogLine, LogOptions, Node, NodeSpec, Service, ServiceSpec, Task
from manager.control.counts import TaskCounts

Filters = Mapping[str, Sequence[str]]
"""Docker's list filters: all keys must match, and within a key any value (of labels: all)."""


class LeaderApi(Protocol):
    """What only the leader can do, or knows: every manager passes these calls on to it.

    Errors are of core.errors. Every method may raise NotLeader, NoQuorum and Unavailable, a write UnknownOutcome.

    A `ref` is an id, a name (of a node: its hostname), or the unambiguous beginning of an id: NotFound if it is none,
    InvalidArgument if it is ambiguous. A `version` is the `meta.version` that the change was made from: OutOfSequence
    if the object has changed since. Objects come back as stored, with every change that was acknowledged before.
    """

    async def update_cluster(
        self, version: int, spec: ClusterSpec, rotate_worker_token: bool, rotate_manager_token: bool
    ) -> Cluster: ...

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

    async def remove_service(self, ref: str) -> None: ...

    def logs(
        self, service_refs: Sequence[str], task_refs: Sequence[str], options: LogOptions
    ) -> AsyncGenerator[LogLine, None]: ...


class ControlApi(LeaderApi, Protocol):
    """Everything. These any manager answers from its own memory, once that is not behind what was acknowledged."""

    async def get_cluster(self) -> Cluster:
        """With the join tokens, without the root's key."""
        ...

    async def list_services(self, filters: Filters) -> list[tuple[Service, TaskCounts]]: ...

    async def get_service(self, ref: str) -> Service: ...

    async def list_tasks(self, filters: Filters) -> list[Task]: ...

    async def get_task(self, ref: str) -> Task: ...
