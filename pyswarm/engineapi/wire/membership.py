"""What `swarm init` and `swarm join` ask of a node."""

from dataclasses import replace

from core.errors import InvalidArgument
from core.model import Availability, ClusterSpec
from manager.control.api import Rotations
from pyswarm.engineapi.ports import InitRequest, JoinRequest
from pyswarm.engineapi.wire.cluster import read_cluster_fields
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.names import AVAILABILITIES

_SUBNET_SIZES = (0, 24)
_DATA_PATH_PORTS = (0, 4789)


def read_init(body: object) -> InitRequest:
    fields = Fields(body)
    spec = fields.child("Spec")
    if fields.integer("SubnetSize") not in _SUBNET_SIZES:
        raise InvalidArgument("SubnetSize is not supported by pyswarm yet: it has no overlay networks")
    if fields.integer("DataPathPort") not in _DATA_PATH_PORTS:
        raise InvalidArgument("DataPathPort is not supported by pyswarm yet: it has no overlay networks")
    wanted, root = read_cluster_fields(spec, ClusterSpec()) if spec else (ClusterSpec(), Rotations())
    if root != Rotations():
        raise InvalidArgument("a cluster begins with a root of its own: change to yours with `swarm ca --rotate`")
    request = InitRequest(
        listen_addr=fields.text("ListenAddr"),
        advertise_addr=fields.text("AdvertiseAddr"),
        availability=fields.choice("Availability", AVAILABILITIES, Availability.ACTIVE),
        spec=replace(wanted, auto_lock=fields.flag("AutoLockManagers") or wanted.auto_lock),
        force_new_cluster=fields.flag("ForceNewCluster"),
    )
    fields.finish()
    if request.force_new_cluster and (request.spec, request.availability) != (ClusterSpec(), Availability.ACTIVE):
        raise InvalidArgument(
            "ForceNewCluster keeps the cluster's settings and the node's availability: change them afterwards"
        )
    return request


def read_join(body: object) -> JoinRequest:
    fields = Fields(body)
    request = JoinRequest(
        listen_addr=fields.text("ListenAddr"),
        advertise_addr=fields.text("AdvertiseAddr"),
        remote_addrs=fields.texts("RemoteAddrs"),
        join_token=fields.text("JoinToken"),
        availability=fields.choice("Availability", AVAILABILITIES, Availability.ACTIVE),
    )
    fields.finish()
    if not request.remote_addrs:
        raise InvalidArgument("RemoteAddrs must name at least one manager, as HOST:PORT")
    return request
