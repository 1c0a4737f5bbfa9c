"""--cap-add and --cap-drop. Pure; the rules are those of Docker's command."""

from collections.abc import Collection, Iterable

from pyswarm.cli.json_types import Json

_ALL = "ALL"
_RESET = "RESET"
"""As a capability: whatever the service had before is forgotten."""


def change_capabilities(container: Json, add: Iterable[str], drop: Iterable[str]) -> None:
    """Adding one that was dropped takes it off that list, no more, and the other way round; of one that is both, adding
    counts."""
    adding, dropping = set(map(_named, add)), set(map(_named, drop))
    if not (adding or dropping):
        return
    added = set() if _RESET in adding else set(container.get("CapabilityAdd") or ())
    dropped = set() if _RESET in dropping else set(container.get("CapabilityDrop") or ())
    dropping -= adding
    added, dropped = added - dropping | adding - dropped, dropped - adding | dropping - added
    for field, capabilities in (("CapabilityAdd", added), ("CapabilityDrop", dropped)):
        if listed := _listed(capabilities - {_RESET}):
            container[field] = listed
        else:
            container.pop(field, None)


def _named(capability: str) -> str:
    name = capability.strip().upper()
    return name if name in (_ALL, _RESET) or name.startswith("CAP_") else f"CAP_{name}"


def _listed(capabilities: Collection[str]) -> list[str]:
    return [_ALL] if _ALL in capabilities else sorted(capabilities)
