"""Whether what a user asks for can be had at all, whatever the state of the cluster. Pure; raises InvalidArgument."""

from manager.control.validation.cluster import validate_cluster_spec
from manager.control.validation.dependencies import validate_data, validate_dependency_spec, validate_labels
from manager.control.validation.node import validate_node_spec
from manager.control.validation.service import validate_service_spec

__all__ = [
    "validate_cluster_spec",
    "validate_data",
    "validate_dependency_spec",
    "validate_labels",
    "validate_node_spec",
    "validate_service_spec",
]
