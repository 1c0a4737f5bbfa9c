"""A task as the engine's container configuration. Pure.

Field by field what Docker's own swarm executor sends (moby, daemon/cluster/executor/container/container.go).
"""

from typing import Any

from core.clock import SECOND
from core.model import Mount, MountType, PortConfig, Protocol, PublishMode, Task
from worker.executor import TaskError

CLUSTER_LABEL = "io.pyswarm.cluster"
NODE_LABEL = "io.pyswarm.node"
TASK_LABEL = "io.pyswarm.task"
"""A container is ours only if these three name this cluster, this node and one of its tasks. The labels that begin with
com.docker.swarm are for the tools that people know."""

_BIND_CREATE_API = (1, 42)


def container_name(task: Task) -> str:
    """service.slot.task, or service.node.task where a node is the slot."""
    return f"{task.service_name}.{task.slot or task.node_id}.{task.id}"


def container_config(task: Task, cluster_id: str, node_id: str, api_version: tuple[int, int]) -> dict[str, Any]:
    """The body of a create request. Raises TaskError for what an engine of `api_version` would leave out silently."""
    spec = task.spec.container
    host_ports = _host_ports(task)
    config: dict[str, Any] = {
        "Image": spec.image,
        "Labels": dict(spec.labels) | _labels(task, cluster_id, node_id),
        "Env": list(spec.env),
        "HostConfig": _host_config(task, host_ports, api_version),
    }
    optional = {
        "Entrypoint": list(spec.command),
        "Cmd": list(spec.args),
        "Hostname": spec.hostname,
        "WorkingDir": spec.dir,
        "User": spec.user,
        "StopSignal": spec.stop_signal,
        "ExposedPorts": {_port_key(port): {} for port in host_ports},
    }
    config.update({key: value for key, value in optional.items() if value})
    if spec.stop_grace_period is not None:
        config["StopTimeout"] = -(-spec.stop_grace_period // SECOND)  # whole seconds: rather longer than shorter
    return config


def published_ports(task: Task, bindings: dict[str, Any] | None) -> tuple[PortConfig, ...]:
    """The host-mode ports of `task` as the engine published them; `bindings` is its NetworkSettings.Ports."""
    found = []
    for port in _host_ports(task):
        for binding in (bindings or {}).get(_port_key(port)) or ():
            published = PortConfig(
                name=port.name,
                protocol=port.protocol,
                target_port=port.target_port,
                published_port=int(binding["HostPort"]),
                publish_mode=PublishMode.HOST,
            )
            if port.published_port in (0, published.published_port) and published not in found:
                found.append(published)
    return tuple(found)


def _labels(task: Task, cluster_id: str, node_id: str) -> dict[str, str]:
    return {
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": task.id,
        "com.docker.swarm.task.name": container_name(task),
        "com.docker.swarm.node.id": node_id,
        "com.docker.swarm.service.id": task.service_id,
        "com.docker.swarm.service.name": task.service_name,
        CLUSTER_LABEL: cluster_id,
        NODE_LABEL: node_id,
        TASK_LABEL: task.id,
    }


def _host_config(task: Task, host_ports: list[PortConfig], api_version: tuple[int, int]) -> dict[str, Any]:
    spec = task.spec.container
    config: dict[str, Any] = {}
    if spec.mounts:
        config["Mounts"] = [_mount(mount, api_version) for mount in spec.mounts]
    limits = task.spec.resources.limits if task.spec.resources is not None else None
    if limits is not None and limits.memory_bytes:
        config["Memory"] = limits.memory_bytes
    if limits is not None and limits.nano_cpus:
        config["NanoCpus"] = limits.nano_cpus
    if spec.init is not None:
        config["Init"] = spec.init
    if spec.isolation:
        config["Isolation"] = spec.isolation
    if host_ports:
        bindings: dict[str, list[dict[str, str]]] = {}
        for port in host_ports:
            host_port = str(port.published_port) if port.published_port else ""
            bindings.setdefault(_port_key(port), []).append({"HostPort": host_port})
        config["PortBindings"] = bindings
    return config


def _host_ports(task: Task) -> list[PortConfig]:
    return [port for port in task.ports if port.publish_mode == PublishMode.HOST]


def _port_key(port: PortConfig) -> str:
    return f"{port.target_port}/{Protocol(port.protocol).name.lower()}"


def _mount(mount: Mount, api_version: tuple[int, int]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "Type": MountType(mount.type).name.lower(),
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
    }
    if mount.consistency:
        body["Consistency"] = mount.consistency
    if mount.bind is not None:
        if mount.bind.create_mountpoint and api_version < _BIND_CREATE_API:
            raise TaskError(
                f"mount {mount.target}: this node's engine is too old to create the source of a bind mount; "
                f"create {mount.source} by hand or upgrade the engine (API 1.42)"
            )
        body["BindOptions"] = {
            "Propagation": mount.bind.propagation,
            "NonRecursive": mount.bind.non_recursive,
            "CreateMountpoint": mount.bind.create_mountpoint,
        }
    if mount.volume is not None:
        body["VolumeOptions"] = {"NoCopy": mount.volume.no_copy, "Labels": dict(mount.volume.labels)}
        if mount.volume.driver:
            driver = {"Name": mount.volume.driver, "Options": dict(mount.volume.driver_options)}
            body["VolumeOptions"]["DriverConfig"] = driver
    if mount.tmpfs is not None:
        body["TmpfsOptions"] = {"SizeBytes": mount.tmpfs.size_bytes, "Mode": mount.tmpfs.mode}
    return body
