"""A task as the engine's container configuration. Pure.

Field by field what Docker's own swarm executor sends (moby, daemon/cluster/executor/container/container.go).
"""

from collections.abc import Iterable
from typing import Any

from core.clock import SECOND
from core.model import Task
from worker.executor.docker.health import health_config
from worker.executor.docker.host_config import host_config
from worker.executor.docker.ports import host_ports, port_key

CLUSTER_LABEL = "io.pyswarm.cluster"
NODE_LABEL = "io.pyswarm.node"
TASK_LABEL = "io.pyswarm.task"
"""A container is ours only if these three name this cluster, this node and one of its tasks. The labels that begin with
com.docker.swarm are for the tools that people know."""

_RESOURCE_VARIABLE = "DOCKER_RESOURCE"


def container_config(task: Task, cluster_id: str, node_id: str, api_version: tuple[int, int]) -> dict[str, Any]:
    """The body of a create request. Raises TaskError for what an engine of `api_version` would leave out silently."""
    spec = task.spec.container
    config: dict[str, Any] = {
        "Image": spec.image,
        "Labels": dict(spec.labels) | _labels(task, cluster_id, node_id),
        "Env": [*spec.env, *_resource_variables(task)],
        "HostConfig": host_config(task, api_version),
    }
    optional = {
        "Entrypoint": list(spec.command),
        "Cmd": list(spec.args),
        "Hostname": spec.hostname,
        "WorkingDir": spec.dir,
        "User": spec.user,
        "StopSignal": spec.stop_signal,
        "Tty": spec.tty,
        "OpenStdin": spec.open_stdin,
        "Healthcheck": health_config(spec.health_check, api_version),
        "ExposedPorts": {port_key(port): {} for port in host_ports(task)},
    }
    config.update({key: value for key, value in optional.items() if value})
    if spec.stop_grace_period is not None:
        config["StopTimeout"] = -(-spec.stop_grace_period // SECOND)  # whole seconds: rather longer than shorter
    return config


def left_out(config: dict[str, Any], warnings: Iterable[str]) -> str:
    """What of `config` the engine has left out because its kernel lacks it, as it warned; empty if nothing."""
    wants_swap = "MemorySwap" in config["HostConfig"]
    lost = [text for text in warnings if "discarded" in text or (wants_swap and "without swap" in text)]
    return "; ".join(lost)


def _labels(task: Task, cluster_id: str, node_id: str) -> dict[str, str]:
    return {
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": task.id,
        "com.docker.swarm.task.name": task.name,
        "com.docker.swarm.node.id": node_id,
        "com.docker.swarm.service.id": task.service_id,
        "com.docker.swarm.service.name": task.service_name,
        CLUSTER_LABEL: cluster_id,
        NODE_LABEL: node_id,
        TASK_LABEL: task.id,
    }


def _resource_variables(task: Task) -> list[str]:
    """The generic resources that the task was given, as Docker tells a container: DOCKER_RESOURCE_GPU=UUID1,UUID2."""
    by_kind: dict[str, list[str]] = {}
    for resource in task.generic:
        by_kind.setdefault(resource.kind, []).append(resource.id or str(resource.value))
    return [f"{_RESOURCE_VARIABLE}_{kind.upper()}={','.join(given)}" for kind, given in by_kind.items()]
