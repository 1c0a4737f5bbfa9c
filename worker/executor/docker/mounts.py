"""Mounts as the engine takes them. Pure."""

from typing import Any

from core.model import BindOptions, Mount, MountType, VolumeOptions
from worker.executor import TaskError

_BIND_CREATE_API = (1, 42)


def mount_config(mount: Mount, api_version: tuple[int, int]) -> dict[str, Any]:
    """Raises TaskError for what an engine of `api_version` would leave out silently."""
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
        body["BindOptions"] = _bind(mount.bind)
    if mount.volume is not None:
        body["VolumeOptions"] = _volume(mount.volume)
    if mount.tmpfs is not None:
        body["TmpfsOptions"] = {"SizeBytes": mount.tmpfs.size_bytes, "Mode": mount.tmpfs.mode}
    return body


def _bind(options: BindOptions) -> dict[str, Any]:
    return {
        "Propagation": options.propagation,
        "NonRecursive": options.non_recursive,
        "CreateMountpoint": options.create_mountpoint,
    }


def _volume(options: VolumeOptions) -> dict[str, Any]:
    body: dict[str, Any] = {"NoCopy": options.no_copy, "Labels": dict(options.labels)}
    if options.driver:
        body["DriverConfig"] = {"Name": options.driver, "Options": dict(options.driver_options)}
    return body
