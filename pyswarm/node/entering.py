"""The two ways into a cluster: founding one, and joining one with a token.

Both end with the node's credentials and membership on disk, and a Member that has yet to be started.
"""

from dataclasses import replace

from core.clock import WallClock
from core.errors import InvalidArgument
from core.ids import new_id
from core.model import NodeStatus
from identity.credentials import Credentials
from identity.keys import new_key_and_csr
from manager.ca import first_manager, new_cluster
from manager.config import Founding
from manager.control.validation import validate_cluster_spec
from pyswarm.engineapi.ports import InitRequest, JoinRequest
from pyswarm.node import join as joining
from pyswarm.node.addresses import parse_host_port
from pyswarm.node.config import DaemonConfig
from pyswarm.node.keychain import Keychain, new_keychain
from pyswarm.node.member import Member, own_address
from pyswarm.node.state import Membership, StateDir


async def found(config: DaemonConfig, state: StateDir, request: InitRequest) -> Member:
    """The first manager of a new cluster. Raises InvalidArgument for addresses and settings that cannot be."""
    validate_cluster_spec(request.spec)
    membership = Membership(request.advertise_addr, request.listen_addr)
    address = own_address(config, membership)
    now = WallClock().now()
    cluster = new_cluster(now, new_id, request.spec)
    key, csr = new_key_and_csr()
    node, issued = first_manager(cluster, new_id(), csr, request.availability, now)
    node = replace(node, status=NodeStatus(addr=address.host))
    credentials = Credentials(key, issued.certificate, issued.root)
    keychain = keep(state, membership, credentials)
    return Member(config, state, membership, credentials, keychain, Founding(cluster, node))


async def join(config: DaemonConfig, state: StateDir, request: JoinRequest) -> Member:
    """A new node of the cluster that the token belongs to. Raises what pyswarm.node.join raises."""
    remotes = tuple(str(parse_host_port(remote)) for remote in request.remote_addrs)
    if not remotes:
        raise InvalidArgument("no manager to join was given: name one as host:port")
    membership = Membership(request.advertise_addr, request.listen_addr, remotes)
    own_address(config, membership)
    credentials = await joining.join(remotes, request.join_token, request.availability, WallClock())
    keychain = keep(state, membership, credentials)
    return Member(config, state, membership, credentials, keychain)


def keep(state: StateDir, membership: Membership, credentials: Credentials) -> Keychain:
    """The membership comes last: with it the node belongs to the cluster, also after a crash."""
    keychain = new_keychain(state.certificates, credentials)
    state.save(membership)
    return keychain
