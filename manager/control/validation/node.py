"""What may be asked of a node."""

from core.errors import InvalidArgument
from core.model import NodeSpec
from manager.control.validation.checks import check_size


def validate_node_spec(spec: NodeSpec) -> None:
    """Raises InvalidArgument, or ResourceExhausted if it is too large."""
    if "" in spec.labels:
        raise InvalidArgument("a label of a node needs a name: write it like disk=ssd")
    check_size(spec)
