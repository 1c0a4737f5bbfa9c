"""Mounts of a container."""

import re
from collections.abc import Iterable
from posixpath import isabs, normpath

from core.errors import InvalidArgument
from core.model import Mount, MountType
from manager.control.validation.checks import check_count

_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PROPAGATIONS = ("", "private", "rprivate", "shared", "rshared", "slave", "rslave")
_CONSISTENCIES = ("", "default", "consistent", "cached", "delegated")


def validate_mounts(mounts: Iterable[Mount]) -> None:
    """Raises InvalidArgument."""
    targets: set[str] = set()
    for mount in mounts:
        if not isabs(mount.target) and not _is_template(mount.target):
            raise InvalidArgument(f"invalid mount target, must be an absolute path: {mount.target!r}")
        target = normpath(mount.target)
        if target in targets:
            raise InvalidArgument(f"ContainerSpec: duplicate mount point: {mount.target}")
        targets.add(target)
        _validate_options(mount)
        _VALIDATE_SOURCE[mount.type](mount)


def _validate_options(mount: Mount) -> None:
    kind = mount.type.name.lower()
    given = {MountType.BIND: mount.bind, MountType.VOLUME: mount.volume, MountType.TMPFS: mount.tmpfs}
    for other, options in given.items():
        if options is not None and other is not mount.type:
            raise InvalidArgument(f"mount {mount.target}: {other.name.lower()} options do not go with type {kind}")
    if mount.consistency not in _CONSISTENCIES:
        raise InvalidArgument(f"mount {mount.target}: unknown consistency {mount.consistency!r}")


def _is_template(text: str) -> bool:
    """What becomes of it only its node knows."""
    return "{{" in text


def _validate_bind(mount: Mount) -> None:
    if not isabs(mount.source) and not _is_template(mount.source):
        raise InvalidArgument(f"invalid bind mount source, must be an absolute path: {mount.source!r}")
    if mount.bind is not None and mount.bind.propagation not in _PROPAGATIONS:
        raise InvalidArgument(f"mount {mount.target}: unknown propagation {mount.bind.propagation!r}")


def _validate_volume(mount: Mount) -> None:
    """A volume without a name is a fresh one for every task."""
    if isabs(mount.source):
        raise InvalidArgument(f"invalid volume mount source, must not be an absolute path: {mount.source}")
    if mount.source and not _is_template(mount.source) and not _VOLUME.fullmatch(mount.source):
        raise InvalidArgument(f"{mount.source!r} is no name for a volume: letters, digits, '_', '.' and '-' only")


def _validate_tmpfs(mount: Mount) -> None:
    if mount.source:
        raise InvalidArgument(f"invalid tmpfs source, source must be empty: {mount.source!r}")
    if mount.tmpfs is not None:
        check_count(f"the size of the tmpfs at {mount.target}", mount.tmpfs.size_bytes)
        check_count(f"the mode of the tmpfs at {mount.target}", mount.tmpfs.mode)


_VALIDATE_SOURCE = {
    MountType.BIND: _validate_bind,
    MountType.VOLUME: _validate_volume,
    MountType.TMPFS: _validate_tmpfs,
}
