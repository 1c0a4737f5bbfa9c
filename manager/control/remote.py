"""The control API of another manager, over gRPC."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import grpc

from core.codec import decode, encode
from core.errors import PyswarmError, Unavailable, UnknownOutcome, Untrusted
from core.model import (
    Cluster,
    ClusterSpec,
    DependencyKind,
    DependencySpec,
    Explanation,
    LogLine,
    LogOptions,
    Node,
    NodeSpec,
    Service,
    ServiceSpec,
    UpdateOrder,
)
from core.model.dependencies import kind_of, noun_of
from core.rpc import error_of, was_answered
from manager.control.api import NOTHING, Filters, Rotations
from proto import control_pb2 as pb
from proto.control_pb2_grpc import ControlStub

T = TypeVar("T")
_CUT_OFF = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
)

TIMEOUT = 10.0
"""Seconds for anything but logs: longer than the log's own time-out, so that its answer is heard."""


class RemoteControl:
    """A LeaderApi. `manager` is who answers on `channel`, for the messages of errors."""

    def __init__(self, channel: grpc.aio.Channel, manager: str) -> None:
        self._stub = ControlStub(channel)
        self._manager = manager

    async def update_cluster(self, version: int, spec: ClusterSpec, rotations: Rotations = NOTHING) -> Cluster:
        request = pb.UpdateClusterRequest(
            version=version,
            spec=encode(spec),
            rotate_worker_token=rotations.worker_token,
            rotate_manager_token=rotations.manager_token,
            rotate_unlock_key=rotations.unlock_key,
            root_cert=rotations.root_cert,
            root_key=rotations.root_key,
        )
        return decode(Cluster, await self._write(self._stub.UpdateCluster(request, timeout=TIMEOUT)))

    async def list_nodes(self, filters: Filters) -> list[Node]:
        answer = await self._read(self._stub.ListNodes(_list_request(filters), timeout=TIMEOUT))
        return [decode(Node, node) for node in answer.nodes]

    async def get_node(self, ref: str) -> Node:
        return decode(Node, await self._read(self._stub.GetNode(pb.GetRequest(ref=ref), timeout=TIMEOUT)))

    async def update_node(self, node_id: str, version: int, spec: NodeSpec) -> Node:
        request = pb.UpdateNodeRequest(node_id=node_id, version=version, spec=encode(spec))
        return decode(Node, await self._write(self._stub.UpdateNode(request, timeout=TIMEOUT)))

    async def remove_node(self, ref: str, force: bool) -> None:
        await self._write(self._stub.RemoveNode(pb.RemoveNodeRequest(ref=ref, force=force), timeout=TIMEOUT))

    async def create_service(self, spec: ServiceSpec, request_id: bytes) -> Service:
        request = pb.CreateServiceRequest(spec=encode(spec), request_id=request_id)
        return decode(Service, await self._write(self._stub.CreateService(request, timeout=TIMEOUT)))

    async def update_service(self, service_id: str, version: int, spec: ServiceSpec) -> Service:
        request = pb.UpdateServiceRequest(service_id=service_id, version=version, spec=encode(spec))
        return decode(Service, await self._write(self._stub.UpdateService(request, timeout=TIMEOUT)))

    async def rollback_service(self, service_id: str, version: int) -> Service:
        request = pb.UpdateServiceRequest(service_id=service_id, version=version, rollback=True)
        return decode(Service, await self._write(self._stub.UpdateService(request, timeout=TIMEOUT)))

    async def rebalance_service(self, ref: str, max_unavailable: int, order: UpdateOrder) -> Service:
        request = pb.RebalanceServiceRequest(ref=ref, max_unavailable=max_unavailable, order=order)
        return decode(Service, await self._write(self._stub.RebalanceService(request, timeout=TIMEOUT)))

    async def remove_service(self, ref: str) -> None:
        await self._write(self._stub.RemoveService(pb.GetRequest(ref=ref), timeout=TIMEOUT))

    async def dry_run_service(self, spec: ServiceSpec) -> Explanation:
        request = pb.DryRunServiceRequest(spec=encode(spec))
        return decode(Explanation, await self._read(self._stub.DryRunService(request, timeout=TIMEOUT)))

    async def explain_service(self, ref: str) -> Explanation:
        return decode(Explanation, await self._read(self._stub.ExplainService(pb.GetRequest(ref=ref), timeout=TIMEOUT)))

    async def explain_task(self, ref: str) -> Explanation:
        return decode(Explanation, await self._read(self._stub.ExplainTask(pb.GetRequest(ref=ref), timeout=TIMEOUT)))

    async def create_dependency(self, spec: DependencySpec, request_id: bytes) -> str:
        request = pb.CreateDependencyRequest(spec=_dependency(spec), request_id=request_id)
        return (await self._write(self._stub.CreateDependency(request, timeout=TIMEOUT))).id

    async def update_dependency(self, item_id: str, version: int, spec: DependencySpec) -> None:
        request = pb.UpdateDependencyRequest(id=item_id, version=version, spec=_dependency(spec))
        await self._write(self._stub.UpdateDependency(request, timeout=TIMEOUT))

    async def add_dependency_version(self, kind: DependencyKind, ref: str, data: bytes, request_id: bytes) -> str:
        request = pb.AddDependencyVersionRequest(of=_dependency_ref(kind, ref), data=data, request_id=request_id)
        return (await self._write(self._stub.AddDependencyVersion(request, timeout=TIMEOUT))).id

    async def remove_dependency(self, kind: DependencyKind, ref: str) -> None:
        await self._write(self._stub.RemoveDependency(_dependency_ref(kind, ref), timeout=TIMEOUT))

    async def logs(
        self, service_refs: Sequence[str], task_refs: Sequence[str], options: LogOptions
    ) -> AsyncGenerator[LogLine, None]:
        request = pb.LogsRequest(service_refs=service_refs, task_refs=task_refs, options=encode(options))
        call = self._stub.Logs(request)
        try:
            with _told_apart():
                async for line in call:
                    yield decode(LogLine, line)
        except grpc.aio.AioRpcError as failure:
            raise self._error(failure) from None
        except _ChannelClosed:
            raise self._cut_off() from None
        finally:
            call.cancel()

    async def _read(self, call: Awaitable[T]) -> T:
        try:
            with _told_apart():
                return await call
        except grpc.aio.AioRpcError as failure:
            raise self._error(failure) from None
        except _ChannelClosed:
            raise self._cut_off() from None

    async def _write(self, call: Awaitable[T]) -> T:
        """A write that was cut off on the way may have been made."""
        try:
            with _told_apart():
                return await call
        except _ChannelClosed:
            raise UnknownOutcome(f"{self._cut_off().message}; the change may have been made") from None
        except grpc.aio.AioRpcError as failure:
            error = self._error(failure)
            if was_answered(failure) or isinstance(error, NotConnected):
                raise error from None
            raise UnknownOutcome(f"{error.message}; the change may have been made") from None

    def _error(self, failure: grpc.aio.AioRpcError) -> PyswarmError:
        error = error_of(failure)
        if was_answered(failure) or failure.code() not in _CUT_OFF:
            return error
        if isinstance(error, Untrusted):
            return NotConnected(f"the leader, {self._manager}: {error.message}")
        if error.message.startswith("failed to connect"):
            return NotConnected(f"the leader, {self._manager}, cannot be reached; try again in a moment")
        return self._cut_off()

    def _cut_off(self) -> Unavailable:
        return Unavailable(f"the connection to the leader, {self._manager}, was lost; try again in a moment")


class NotConnected(Unavailable):
    """The call never left this manager."""


class _ChannelClosed(Exception):
    pass


@contextmanager
def _told_apart() -> Iterator[None]:
    """gRPC ends the calls of a channel that is closed as if their callers had been cancelled: _ChannelClosed."""
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise _ChannelClosed from None


def _dependency(spec: DependencySpec) -> pb.DependencySpec:
    return pb.DependencySpec(**{noun_of(kind_of(spec)): encode(spec)})


def _dependency_ref(kind: DependencyKind, ref: str) -> pb.DependencyRef:
    return pb.DependencyRef(**{noun_of(kind): ref})


def _list_request(filters: Filters) -> pb.ListRequest:
    return pb.ListRequest(filters={key: pb.StringList(values=values) for key, values in filters.items()})
