"""What only the leader can do, over gRPC, for the managers that do not lead.

Its errors become the calls' statuses in identity.access, like those of every servicer.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc

from core.codec import decode, encode
from core.errors import InvalidArgument
from core.model import (
    Cluster,
    ClusterSpec,
    Config,
    ConfigSpec,
    DependencyKind,
    DependencySpec,
    Explanation,
    LogOptions,
    Node,
    NodeSpec,
    Secret,
    SecretSpec,
    Service,
    ServiceSpec,
    UpdateOrder,
)
from manager.control.api import Filters, Rotations
from manager.control.control import Control
from proto import control_pb2 as pb
from proto import control_pb2_grpc, dispatcher_pb2, model_pb2

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_EMPTY = pb.Empty()


class ControlServicer(control_pb2_grpc.ControlServicer):
    def __init__(self, control: Control) -> None:
        self._control = control

    async def UpdateCluster(self, request: pb.UpdateClusterRequest, context: Context) -> model_pb2.Cluster:
        spec = decode(ClusterSpec, request.spec)
        rotations = Rotations(
            request.rotate_worker_token,
            request.rotate_manager_token,
            request.rotate_unlock_key,
            request.root_cert,
            request.root_key,
        )
        return _cluster(await self._control.update_cluster(request.version, spec, rotations))

    async def ListNodes(self, request: pb.ListRequest, context: Context) -> pb.ListNodesResponse:
        nodes = await self._control.list_nodes(_filters(request))
        return pb.ListNodesResponse(nodes=map(_node, nodes))

    async def GetNode(self, request: pb.GetRequest, context: Context) -> model_pb2.Node:
        return _node(await self._control.get_node(request.ref))

    async def UpdateNode(self, request: pb.UpdateNodeRequest, context: Context) -> model_pb2.Node:
        spec = decode(NodeSpec, request.spec)
        return _node(await self._control.update_node(request.node_id, request.version, spec))

    async def RemoveNode(self, request: pb.RemoveNodeRequest, context: Context) -> pb.Empty:
        await self._control.remove_node(request.ref, request.force)
        return _EMPTY

    async def CreateService(self, request: pb.CreateServiceRequest, context: Context) -> model_pb2.Service:
        spec = decode(ServiceSpec, request.spec)
        return _service(await self._control.create_service(spec, request.request_id))

    async def UpdateService(self, request: pb.UpdateServiceRequest, context: Context) -> model_pb2.Service:
        if request.rollback:
            return _service(await self._control.rollback_service(request.service_id, request.version))
        spec = decode(ServiceSpec, request.spec)
        return _service(await self._control.update_service(request.service_id, request.version, spec))

    async def RebalanceService(self, request: pb.RebalanceServiceRequest, context: Context) -> model_pb2.Service:
        order = _update_order(request.order)
        return _service(await self._control.rebalance_service(request.ref, request.max_unavailable, order))

    async def RemoveService(self, request: pb.GetRequest, context: Context) -> pb.Empty:
        await self._control.remove_service(request.ref)
        return _EMPTY

    async def DryRunService(self, request: pb.DryRunServiceRequest, context: Context) -> model_pb2.Explanation:
        return _explanation(await self._control.dry_run_service(decode(ServiceSpec, request.spec)))

    async def ExplainService(self, request: pb.GetRequest, context: Context) -> model_pb2.Explanation:
        return _explanation(await self._control.explain_service(request.ref))

    async def ExplainTask(self, request: pb.GetRequest, context: Context) -> model_pb2.Explanation:
        return _explanation(await self._control.explain_task(request.ref))

    async def CreateDependency(self, request: pb.CreateDependencyRequest, context: Context) -> pb.DependencyId:
        return pb.DependencyId(id=await self._control.create_dependency(_dependency(request.spec), request.request_id))

    async def UpdateDependency(self, request: pb.UpdateDependencyRequest, context: Context) -> pb.Empty:
        await self._control.update_dependency(request.id, request.version, _dependency(request.spec))
        return _EMPTY

    async def AddDependencyVersion(self, request: pb.AddDependencyVersionRequest, context: Context) -> pb.DependencyId:
        kind, ref = _dependency_ref(request.of)
        version_id = await self._control.add_dependency_version(kind, ref, request.data, request.request_id)
        return pb.DependencyId(id=version_id)

    async def RemoveDependency(self, request: pb.DependencyRef, context: Context) -> pb.Empty:
        await self._control.remove_dependency(*_dependency_ref(request))
        return _EMPTY

    async def Logs(self, request: pb.LogsRequest, context: Context) -> AsyncGenerator[dispatcher_pb2.LogLine, None]:
        options = decode(LogOptions, request.options)
        async with aclosing(self._control.logs(request.service_refs, request.task_refs, options)) as lines:
            async for line in lines:
                yield encode(line)


def _filters(request: pb.ListRequest) -> Filters:
    return {key: tuple(found.values) for key, found in request.filters.items()}


def _update_order(number: int) -> UpdateOrder:
    try:
        return UpdateOrder(number)
    except ValueError as error:
        raise InvalidArgument(f"malformed order: {error}") from error


def _dependency(message: pb.DependencySpec) -> DependencySpec:
    if message.WhichOneof("spec") == "secret":
        return decode(SecretSpec, message.secret)
    return decode(ConfigSpec, message.config)


def _dependency_ref(message: pb.DependencyRef) -> tuple[DependencyKind, str]:
    if message.WhichOneof("ref") == "secret":
        return Secret, message.secret
    return Config, message.config


def _cluster(cluster: Cluster) -> model_pb2.Cluster:
    message: model_pb2.Cluster = encode(cluster)
    return message


def _node(node: Node) -> model_pb2.Node:
    message: model_pb2.Node = encode(node)
    return message


def _service(service: Service) -> model_pb2.Service:
    message: model_pb2.Service = encode(service)
    return message


def _explanation(explanation: Explanation) -> model_pb2.Explanation:
    message: model_pb2.Explanation = encode(explanation)
    return message
