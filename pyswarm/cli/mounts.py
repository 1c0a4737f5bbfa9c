"""--mount. Pure but for a relative source, which is taken from the working directory; the shapes are the API's."""

import os
import re
from typing import Any

from core.errors import InvalidArgument
from core.units import parse_size
from pyswarm.cli.arguments import truth
from pyswarm.cli.fields import fields
from pyswarm.cli.json_types import Json

_NAMES = {
    "type": "Type",
    "source": "Source",
    "src": "Source",
    "target": "Target",
    "dst": "Target",
    "destination": "Target",
    "consistency": "Consistency",
    "readonly": "ReadOnly",
    "ro": "ReadOnly",
    "bind-propagation": "BindOptions.Propagation",
    "bind-nonrecursive": "BindOptions.NonRecursive",
    "bind-create-src": "BindOptions.CreateMountpoint",
    "volume-nocopy": "VolumeOptions.NoCopy",
    "volume-label": "VolumeOptions.Labels",
    "volume-driver": "VolumeOptions.DriverConfig.Name",
    "volume-opt": "VolumeOptions.DriverConfig.Options",
    "tmpfs-size": "TmpfsOptions.SizeBytes",
    "tmpfs-mode": "TmpfsOptions.Mode",
}
_FLAGS = frozenset({"readonly", "ro", "bind-nonrecursive", "bind-create-src", "volume-nocopy"})
_MAPS = frozenset({"volume-label", "volume-opt"})
_TYPES = ("bind", "volume", "tmpfs")
_HOW = "write it like type=bind,source=/on/node,target=/in/container"


def parse_mount(text: str) -> Json:
    """`type=bind,source=/a,target=/b,readonly`; the type is `volume` if it is not given. Raises InvalidArgument."""
    mount: dict[str, Json] = {"Type": "volume"}
    for key, value in fields(text):
        if key not in _NAMES:
            raise InvalidArgument(f"unexpected key {key!r}: there are {', '.join(_NAMES)}")
        if not value and key not in _FLAGS:
            raise InvalidArgument(f"invalid field {key!r} must be a key=value pair: {_HOW}")
        _put(mount, key, value)
    if mount["Type"] not in _TYPES:
        raise InvalidArgument(f"invalid mount type {mount['Type']!r}: write {', '.join(_TYPES)}")
    if "Target" not in mount:
        raise InvalidArgument(f"target is required: {_HOW}")
    for section, kind in (("BindOptions", "bind"), ("VolumeOptions", "volume"), ("TmpfsOptions", "tmpfs")):
        if section in mount and mount["Type"] != kind:
            raise InvalidArgument(f"cannot mix {kind}-* options with mount type {mount['Type']!r}")
    return mount


def _put(mount: dict[str, Any], key: str, text: str) -> None:
    *sections, name = _NAMES[key].split(".")
    for section in sections:
        mount = mount.setdefault(section, {})
    if key in _MAPS:
        label, _, value = text.partition("=")
        mount.setdefault(name, {})[label] = value
    else:
        mount[name] = _value(key, text)


def _value(key: str, text: str) -> Json:
    if key in _FLAGS:
        return truth(text or "true", f"for {key}")
    if key == "tmpfs-size":
        return parse_size(text)
    if key == "tmpfs-mode":
        if not re.fullmatch(r"[0-7]{1,4}", text):
            raise InvalidArgument(f"invalid tmpfs-mode {text!r}: write it in octal, like 1777")
        return int(text, 8)
    if key in ("type", "bind-propagation"):
        return text.lower()
    if key in ("source", "src") and (text == "." or text.startswith("./")):
        return os.path.abspath(text)
    return text
