"""What a cluster's owner should know of its managers before one more is lost."""

from collections.abc import Iterable

from core.model import Node, Reachability

_TWO_MANAGERS = (
    "WARNING: two managers tolerate no failure: when either is lost the cluster can not be changed. "
    "Add a third, or demote one."
)


def quorum_warnings(nodes: Iterable[Node]) -> list[str]:
    """Empty while one more failure can be borne, and for a single manager: whoever has one knows."""
    managers = [node.manager for node in nodes if node.manager is not None]
    reachable = sum(manager.reachability is Reachability.REACHABLE for manager in managers)
    if len(managers) < 2 or reachable > len(managers) // 2 + 1:
        return []
    if reachable == len(managers):
        return [_TWO_MANAGERS]
    return [
        f"WARNING: {reachable} of {len(managers)} managers can be reached: one more failure stops all changes. Bring "
        "the others back, or give them up with `pyswarm node demote` and `pyswarm node rm`, and add new managers."
    ]
