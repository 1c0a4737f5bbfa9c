"""Docker's commands and flags that pyswarm does not have yet: they are refused by name, not as unknown."""

from collections.abc import Mapping

COMMANDS = frozenset({"network", "stack"})
"""By their last word."""

_SERVICE = """
    cap-add cap-drop credential-spec endpoint-mode health-cmd health-interval health-retries health-start-interval
    health-start-period health-timeout init isolation limit-pids log-driver log-opt max-concurrent memory-swap
    memory-swappiness no-healthcheck oom-score-adj read-only replicas-max-per-node tty with-registry-auth
"""
_LISTS = "dns dns-option dns-search generic-resource group host network placement-pref sysctl ulimit"
_CREATE = f"{_LISTS} env-file"
_UPDATE = " ".join(f"{name}-add {name}-rm" for name in _LISTS.split())
_INIT = "external-ca data-path-addr data-path-port default-addr-pool default-addr-pool-mask-length"

FLAGS: Mapping[str, frozenset[str]] = {
    "service create": frozenset(f"{_SERVICE} {_CREATE}".split()),
    "service update": frozenset(f"{_SERVICE} {_UPDATE}".split()),
    "init": frozenset(_INIT.split()),
    "join": frozenset({"data-path-addr"}),
    "update": frozenset({"external-ca"}),
    "ca": frozenset({"external-ca"}),
}
"""The flags' long names by command, without its `swarm`."""

_SHORT = {"-t": "tty"}


def absent_flag(command: str, flag: str) -> str | None:
    """The long form of `flag` if Docker's `command` (such as `service create`) has it and pyswarm's has not yet."""
    name = _SHORT.get(flag, flag.lstrip("-"))
    return f"--{name}" if name in FLAGS.get(command.removeprefix("swarm "), ()) else None
