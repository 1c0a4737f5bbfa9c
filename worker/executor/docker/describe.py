"""The engine's /info as a node description. Pure."""

from collections.abc import Mapping
from typing import Any

from core.model import NodeDescription, Platform, Plugin, Resources


def description(info: Mapping[str, Any]) -> NodeDescription:
    """Engine labels come as `key=value`; the last of a repeated key counts, as in Docker."""
    labels = dict(label.partition("=")[::2] for label in info.get("Labels") or ())
    plugins = (Plugin(kind, name) for kind, names in (info.get("Plugins") or {}).items() for name in names or ())
    return NodeDescription(
        hostname=info["Name"],
        platform=Platform(architecture=info["Architecture"], os=info["OSType"]),
        resources=Resources(nano_cpus=info["NCPU"] * 10**9, memory_bytes=info["MemTotal"]),
        engine_version=info["ServerVersion"],
        engine_labels=labels,
        plugins=tuple(sorted(plugins, key=lambda plugin: (plugin.type, plugin.name))),
    )
