"""How many tasks a service has: replicated, global, or a job of either kind."""

from core.errors import InvalidArgument
from core.model import ServiceMode, ServiceSpec
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json

_KEYS = {
    "Replicated": ServiceMode.REPLICATED,
    "Global": ServiceMode.GLOBAL,
    "ReplicatedJob": ServiceMode.REPLICATED_JOB,
    "GlobalJob": ServiceMode.GLOBAL_JOB,
}


def read_mode(fields: Fields | None) -> Json:
    """The members of a ServiceSpec that `Mode` states. Raises InvalidArgument for more than one mode."""
    stated = [] if fields is None else [(key, child) for key in _KEYS if (child := fields.child(key)) is not None]
    if len(stated) > 1:
        raise InvalidArgument("must specify only one service mode")
    if not stated:
        return {"mode": ServiceMode.REPLICATED}
    ((key, child),) = stated
    mode = _KEYS[key]
    if mode is ServiceMode.REPLICATED:
        return {"mode": mode, "replicas": child.maybe_integer("Replicas")}
    if mode is ServiceMode.REPLICATED_JOB:
        return {
            "mode": mode,
            "max_concurrent": child.maybe_integer("MaxConcurrent"),
            "total_completions": child.maybe_integer("TotalCompletions"),
        }
    return {"mode": mode}


def show_mode(spec: ServiceSpec) -> Json:
    """As dockerd, with its defaults where no number was given."""
    match spec.mode:
        case ServiceMode.REPLICATED:
            return {"Replicated": {"Replicas": 1 if spec.replicas is None else spec.replicas}}
        case ServiceMode.REPLICATED_JOB:
            return {"ReplicatedJob": {"MaxConcurrent": spec.concurrency, "TotalCompletions": spec.completions}}
        case ServiceMode.GLOBAL:
            return {"Global": {}}
        case ServiceMode.GLOBAL_JOB:
            return {"GlobalJob": {}}
