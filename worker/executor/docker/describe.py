"""The engine's /info as a node description. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.model import GenericResource, NodeDescription, Platform, Plugin, Resources


def description(info: Mapping[str, Any], declared: Sequence[GenericResource] = ()) -> NodeDescription:
    """Engine labels come as `key=value`; the last of a repeated key counts, as in Docker. Of generic resources
    `declared` come before those of the same kind that the engine speaks of (its node-generic-resources)."""
    kinds = {resource.kind for resource in declared}
    generic = (*declared, *(resource for resource in _generic(info) if resource.kind not in kinds))
    labels = dict(label.partition("=")[::2] for label in info.get("Labels") or ())
    plugins = (Plugin(kind, name) for kind, names in (info.get("Plugins") or {}).items() for name in names or ())
    return NodeDescription(
        hostname=info["Name"],
        platform=Platform(architecture=info["Architecture"], os=info["OSType"]),
        resources=Resources(nano_cpus=info["NCPU"] * 10**9, memory_bytes=info["MemTotal"], generic=generic),
        engine_version=info["ServerVersion"],
        engine_labels=labels,
        plugins=tuple(sorted(plugins, key=lambda plugin: (plugin.type, plugin.name))),
    )


def _generic(info: Mapping[str, Any]) -> Iterator[GenericResource]:
    for item in info.get("GenericResources") or ():
        if named := item.get("NamedResourceSpec"):
            yield GenericResource(named["Kind"], id=named["Value"])
        elif counted := item.get("DiscreteResourceSpec"):
            yield GenericResource(counted["Kind"], value=counted["Value"])
