"""What every session is told of its node and the cluster. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from core.codec import encode
from core.model import ClusterSpec, Meta, Node, NodeStatus
from identity.certificates import root_fingerprint
from manager.ca.rotation import signing
from manager.dispatcher.liveness import heartbeat_period
from manager.store import View
from proto import dispatcher_pb2 as pb
from raft import Member


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """The part that is the same for all."""

    managers: tuple[tuple[str, str], ...]
    """Node id and host:port."""
    root_ca: bytes
    """PEM: what to trust."""
    certificate_issuer: str
    """Of which new certificates are."""
    heartbeat_period: int
    node_cert_expiry: int


def cluster_info(view: View, members: Iterable[Member]) -> ClusterInfo:
    cluster = view.cluster
    spec = cluster.spec if cluster is not None else ClusterSpec()
    root = signing(cluster.root_ca) if cluster is not None else None
    return ClusterInfo(
        managers=tuple((member.node_id, member.addr) for member in members),
        root_ca=root.trusted if root is not None else b"",
        certificate_issuer=root_fingerprint(root.cert) if root is not None else "",
        heartbeat_period=heartbeat_period(spec.heartbeat_period, sum(1 for _ in view.nodes())),
        node_cert_expiry=spec.node_cert_expiry,
    )


def session_info(cluster: ClusterInfo, node: Node) -> pb.SessionInfo:
    """Without what the node itself has said: that is no news to it."""
    told = replace(node, meta=Meta(), description=None, status=NodeStatus(), port_errors=())
    return pb.SessionInfo(
        node=encode(told),
        managers=[pb.ManagerPeer(node_id=node_id, addr=addr) for node_id, addr in cluster.managers],
        root_ca=cluster.root_ca,
        heartbeat_period=cluster.heartbeat_period,
        node_cert_expiry=cluster.node_cert_expiry,
        certificate_issuer=cluster.certificate_issuer if node.certificate_due else "",
    )
