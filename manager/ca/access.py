"""Whether a certificate's owner may make a call: by the certificate's role, and by what the store knows of it now."""

from core.errors import PermissionDenied, Removed, Unavailable
from core.model import Role
from identity.model import NodeIdentity
from manager.store import View
from proto import access_pb2
from proto.access_pb2 import Access


def authorize(view: View, identity: NodeIdentity, access: Access.ValueType) -> None:
    """Raises PermissionDenied if `identity` may not make calls of `access`, Removed if it never may again.

    Raises Unavailable if this manager cannot tell yet, because its store is behind: a node that it does not know was
    certified by our root, and has not been removed.
    """
    if access not in (access_pb2.NODES, access_pb2.MANAGERS, access_pb2.MEMBERS):
        raise PermissionDenied("this call is open to no node")
    if access != access_pb2.NODES and identity.role is not Role.MANAGER:
        raise PermissionDenied(f"node {identity.node_id} is a worker; only managers may make this call")
    cluster = view.cluster
    if cluster is not None:
        if identity.cluster_id != cluster.id:
            raise PermissionDenied(f"node {identity.node_id} belongs to another cluster")
        if identity.node_id in cluster.removed_nodes:
            raise Removed(identity.node_id)
    if access == access_pb2.MEMBERS:
        return
    node = view.node(identity.node_id)
    if node is None:
        raise Unavailable(f"this manager does not know node {identity.node_id} yet; try again, or ask another manager")
    if access == access_pb2.MANAGERS and node.role is not Role.MANAGER:
        raise PermissionDenied(f"node {identity.node_id} is no manager any more; only managers may make this call")
