"""Docker's commands and flags that pyswarm does not have yet: they are refused by name, not as unknown."""

from collections.abc import Mapping

COMMANDS = frozenset({"network", "stack"})
"""By their last word."""

_SERVICE = "credential-spec isolation"
_INIT = "external-ca data-path-addr data-path-port default-addr-pool default-addr-pool-mask-length"

FLAGS: Mapping[str, frozenset[str]] = {
    "service create": frozenset(f"{_SERVICE} network".split()),
    "service update": frozenset(f"{_SERVICE} network-add network-rm".split()),
    "init": frozenset(_INIT.split()),
    "join": frozenset({"data-path-addr"}),
    "update": frozenset({"external-ca"}),
    "ca": frozenset({"external-ca"}),
    "secret create": frozenset({"driver"}),
}
"""The flags' long names by command, without its `swarm`."""


def absent_flag(command: str, flag: str) -> str | None:
    """The long form of `flag` if Docker's `command` (such as `service create`) has it and pyswarm's has not yet."""
    name = flag.lstrip("-")
    return f"--{name}" if name in FLAGS.get(command.removeprefix("swarm "), ()) else None
