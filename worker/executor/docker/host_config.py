"""What a container may use of its host: the HostConfig of a create request. Pure."""

from typing import Any

from core.model import ContainerSpec, ResourceRequirements, Resources, Task
from worker.executor.docker.mounts import mount_config
from worker.executor.docker.ports import host_ports, port_bindings


def host_config(task: Task, api_version: tuple[int, int]) -> dict[str, Any]:
    """Raises TaskError for what an engine of `api_version` would leave out silently."""
    spec = task.spec.container
    log_driver = task.spec.log_driver or task.log_driver
    requirements = task.spec.resources or ResourceRequirements()
    config: dict[str, Any] = {
        "Mounts": [mount_config(mount, api_version) for mount in spec.mounts],
        "PortBindings": port_bindings(host_ports(task)),
        "Isolation": spec.isolation,
        "GroupAdd": list(spec.groups),
        "ReadonlyRootfs": spec.read_only,
        "ExtraHosts": _extra_hosts(spec),
        "Sysctls": dict(spec.sysctls),
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "Ulimits": [{"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard} for limit in spec.ulimits],
        "OomScoreAdj": spec.oom_score_adj,
        "LogConfig": log_driver and {"Type": log_driver.name, "Config": dict(log_driver.options)},
        **_dns(spec),
        **_limits(requirements),
    }
    also_if_zero = {"Init": spec.init, "MemorySwappiness": requirements.memory_swappiness}
    given = {key: value for key, value in config.items() if value}
    return given | {key: value for key, value in also_if_zero.items() if value is not None}


def _limits(requirements: ResourceRequirements) -> dict[str, Any]:
    limits = requirements.limits or Resources()
    config: dict[str, Any] = {
        "Memory": limits.memory_bytes,
        "NanoCpus": limits.nano_cpus,
        "PidsLimit": limits.pids,
    }
    if requirements.swap_bytes is not None:
        # The engine counts memory and swap together.
        config["MemorySwap"] = -1 if requirements.swap_bytes < 0 else limits.memory_bytes + requirements.swap_bytes
    return config


def _dns(spec: ContainerSpec) -> dict[str, Any]:
    if spec.dns is None:
        return {}
    return {
        "Dns": list(spec.dns.nameservers),
        "DnsOptions": list(spec.dns.options),
        "DnsSearch": list(spec.dns.search),
    }


def _extra_hosts(spec: ContainerSpec) -> list[str]:
    """Lines of a hosts file, `ADDRESS NAME [NAME...]`, as the engine's `NAME:ADDRESS`."""
    lines = [line.split() for line in spec.hosts]
    return [f"{name}:{address}" for address, *names in lines for name in names]
