"""The flags that `create` and `update` share, and what each puts into a service's spec (the API's JSON)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from pyswarm.cli.completion import complete_services
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import COMMAND, COUNT, CPUS, DURATION, RATIO, SIZE, Choice

F = TypeVar("F", bound=Callable[..., Any])

service_argument = click.argument("service", shell_complete=complete_services)
services_argument = click.argument(
    "services", metavar="SERVICE [SERVICE...]", nargs=-1, required=True, shell_complete=complete_services
)
detach_option = click.option(
    "-d", "--detach", is_flag=True, help="Exit immediately instead of waiting for the service to converge."
)
quiet_progress_option = click.option("-q", "--quiet", is_flag=True, help="Suppress progress output.")

_Flag = tuple[Sequence[str], dict[str, Any]]


def _replacement_flags(verb: str, done: str, actions: Sequence[str]) -> Sequence[_Flag]:
    """How tasks are replaced, at an update or at a rollback."""
    orders = ["start-first", "stop-first"]
    return (
        ([f"--{verb}-parallelism"], {"type": COUNT, "help": f"Tasks {done} at a time, 0 for all (1)."}),
        ([f"--{verb}-delay"], {"type": DURATION, "help": f"Delay between tasks that are {done} (0s)."}),
        ([f"--{verb}-monitor"], {"type": DURATION, "help": f"How long a task that was {done} is watched (5s)."}),
        ([f"--{verb}-failure-action"], {"type": Choice(actions), "help": f"What follows if a {verb} fails (pause)."}),
        ([f"--{verb}-max-failure-ratio"], {"type": RATIO, "help": f"Part of the tasks that may fail at a {verb} (0)."}),
        ([f"--{verb}-order"], {"type": Choice(orders), "help": f"What comes first at a {verb} (stop-first)."}),
    )


_SHARED: Sequence[_Flag] = (
    (["--replicas"], {"type": COUNT, "help": "Number of tasks."}),
    (["--entrypoint"], {"type": COMMAND, "help": "Overwrite the default entry point of the image."}),
    (["--hostname"], {"help": "Container hostname."}),
    (["-u", "--user"], {"help": "User name or id, and group: NAME|UID[:GROUP|GID]."}),
    (["-w", "--workdir"], {"help": "Working directory inside the container."}),
    (["--limit-cpu"], {"type": CPUS, "help": "Limit CPUs."}),
    (["--limit-memory"], {"type": SIZE, "help": "Limit memory."}),
    (["--reserve-cpu"], {"type": CPUS, "help": "Reserve CPUs."}),
    (["--reserve-memory"], {"type": SIZE, "help": "Reserve memory."}),
    (["--restart-condition"], {"type": Choice(["none", "on-failure", "any"]), "help": "When to restart (any)."}),
    (["--restart-delay"], {"type": DURATION, "help": "Delay between restarts (5s)."}),
    (["--restart-max-attempts"], {"type": COUNT, "help": "Restarts before giving up (0: without limit)."}),
    (["--restart-window"], {"type": DURATION, "help": "Window in which restarts are counted."}),
    (["--stop-grace-period"], {"type": DURATION, "help": "Time before a container is killed (10s)."}),
    (["--stop-signal"], {"help": "Signal to stop the container."}),
    *_replacement_flags("update", "updated", ["pause", "continue", "rollback"]),
    *_replacement_flags("rollback", "rolled back", ["pause", "continue"]),
    (["--no-resolve-image"], {"is_flag": True, "help": "Accepted as Docker's; an image is never resolved by pyswarm."}),
)

_DEFAULT_RESTART = {"Condition": "any", "Delay": 5 * 10**9, "MaxAttempts": 0}
_REPLACEMENT = {
    "parallelism": "Parallelism",
    "delay": "Delay",
    "monitor": "Monitor",
    "failure_action": "FailureAction",
    "max_failure_ratio": "MaxFailureRatio",
    "order": "Order",
}
_DEFAULT_REPLACEMENT = {
    "Parallelism": 1,
    "FailureAction": "pause",
    "Monitor": 5 * 10**9,
    "MaxFailureRatio": 0,
    "Order": "stop-first",
}


def shared_flags(command: F) -> F:
    for declaration, settings in reversed(_SHARED):
        command = click.option(*declaration, **settings)(command)
    return detach_option(quiet_progress_option(command))


def apply_shared(spec: Json, given: dict[str, Any]) -> None:
    """Puts the flags that were given (not None) into `spec`, and leaves the rest of it as it is.

    A section of which anything is given starts from Docker's defaults. Raises click.ClickException.
    """
    template = spec["TaskTemplate"]
    _put(
        template["ContainerSpec"],
        given,
        entrypoint="Command",
        hostname="Hostname",
        user="User",
        workdir="Dir",
        stop_signal="StopSignal",
        stop_grace_period="StopGracePeriod",
    )
    limits = {"limit_cpu": "NanoCPUs", "limit_memory": "MemoryBytes"}
    reservations = {"reserve_cpu": "NanoCPUs", "reserve_memory": "MemoryBytes"}
    if _any(given, limits) or _any(given, reservations):
        resources = _section(template, "Resources", {})
        _put(_section(resources, "Limits", {}), given, **limits)
        _put(_section(resources, "Reservations", {}), given, **reservations)
    restart = {
        "restart_condition": "Condition",
        "restart_delay": "Delay",
        "restart_max_attempts": "MaxAttempts",
        "restart_window": "Window",
    }
    if _any(given, restart):
        _put(_section(template, "RestartPolicy", _DEFAULT_RESTART), given, **restart)
    for verb, section in (("update", "UpdateConfig"), ("rollback", "RollbackConfig")):
        fields = {f"{verb}_{flag}": field for flag, field in _REPLACEMENT.items()}
        if _any(given, fields):
            _put(_section(spec, section, _DEFAULT_REPLACEMENT), given, **fields)
    if given["replicas"] is not None:
        if "Replicated" not in spec["Mode"]:
            raise click.ClickException("replicas can only be used with replicated mode")
        spec["Mode"]["Replicated"] = {"Replicas": given["replicas"]}


def _any(given: dict[str, Any], fields: dict[str, str]) -> bool:
    return any(given[flag] is not None for flag in fields)


def _section(parent: Json, name: str, default: dict[str, Json]) -> Json:
    if parent.get(name) is None:
        parent[name] = dict(default)
    return parent[name]


def _put(section: Json, given: dict[str, Any], **fields: str) -> None:
    for flag, field in fields.items():
        if given[flag] is not None:
            section[field] = given[flag]
