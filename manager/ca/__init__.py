"""The certificate authority: who may join, who is certified as what, who may call what, who is out for good."""

from manager.ca.access import authorize
from manager.ca.authority import Authority
from manager.ca.cluster import new_cluster, rotate_tokens, with_removed_node
from manager.ca.rotation import RootRotator, begin_rotation, signing
from manager.ca.service import BootstrapService, NodeCAService, bootstrap_server
from manager.ca.signing import MIN_LIFETIME, Issued, first_manager

__all__ = [
    "MIN_LIFETIME",
    "Authority",
    "BootstrapService",
    "Issued",
    "NodeCAService",
    "RootRotator",
    "authorize",
    "begin_rotation",
    "bootstrap_server",
    "first_manager",
    "new_cluster",
    "rotate_tokens",
    "signing",
    "with_removed_node",
]
