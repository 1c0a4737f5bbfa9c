"""The flags that `create` and `update` share, and what each puts into a service's spec (the API's JSON)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from pyswarm.cli.client import Json
from pyswarm.cli.options import CPUS, DURATION, SIZE

F = TypeVar("F", bound=Callable[..., Any])

_ORDER = click.Choice(["start-first", "stop-first"])
_COUNT = click.IntRange(0)

_SHARED: Sequence[tuple[Sequence[str], dict[str, Any]]] = (
    (["--replicas"], {"type": _COUNT, "help": "Number of tasks."}),
    (["--hostname"], {"help": "Container hostname."}),
    (["-u", "--user"], {"help": "User name or id, and group: NAME|UID[:GROUP|GID]."}),
    (["-w", "--workdir"], {"help": "Working directory inside the container."}),
    (["--limit-cpu"], {"type": CPUS, "help": "Limit CPUs."}),
    (["--limit-memory"], {"type": SIZE, "help": "Limit memory."}),
    (["--reserve-cpu"], {"type": CPUS, "help": "Reserve CPUs."}),
    (["--reserve-memory"], {"type": SIZE, "help": "Reserve memory."}),
    (["--restart-condition"], {"type": click.Choice(["none", "on-failure", "any"]), "help": "When to restart (any)."}),
    (["--restart-delay"], {"type": DURATION, "help": "Delay between restarts (5s)."}),
    (["--restart-max-attempts"], {"type": _COUNT, "help": "Restarts before giving up (0: without limit)."}),
    (["--restart-window"], {"type": DURATION, "help": "Window in which restarts are counted."}),
    (["--stop-grace-period"], {"type": DURATION, "help": "Time before a container is killed (10s)."}),
    (["--stop-signal"], {"help": "Signal to stop the container."}),
    (["--update-parallelism"], {"type": _COUNT, "help": "Tasks updated at a time, 0 for all (1)."}),
    (["--update-delay"], {"type": DURATION, "help": "Delay between updates (0s)."}),
    (["--update-order"], {"type": _ORDER, "help": "Start the new task or stop the old one first (stop-first)."}),
    (["-d", "--detach"], {"is_flag": True, "help": "Exit immediately instead of waiting for the service to converge."}),
    (["-q", "--quiet"], {"is_flag": True, "help": "Suppress progress output."}),
)


def shared_flags(command: F) -> F:
    for declaration, settings in reversed(_SHARED):
        command = click.option(*declaration, **settings)(command)
    return command


def apply_shared(spec: Json, given: dict[str, Any]) -> None:
    """Puts the flags that were given (not None) into `spec`, and leaves the rest of it as it is."""
    template = spec.setdefault("TaskTemplate", {})
    container = template.setdefault("ContainerSpec", {})
    _put(container, given, hostname="Hostname", user="User", workdir="Dir", stop_signal="StopSignal")
    _put(container, given, stop_grace_period="StopGracePeriod")
    _section(template, ("Resources", "Limits"), given, limit_cpu="NanoCPUs", limit_memory="MemoryBytes")
    _section(template, ("Resources", "Reservations"), given, reserve_cpu="NanoCPUs", reserve_memory="MemoryBytes")
    _section(
        template,
        ("RestartPolicy",),
        given,
        restart_condition="Condition",
        restart_delay="Delay",
        restart_max_attempts="MaxAttempts",
        restart_window="Window",
    )
    _section(
        spec,
        ("UpdateConfig",),
        given,
        update_parallelism="Parallelism",
        update_delay="Delay",
        update_order="Order",
    )
    if "UpdateConfig" in spec:
        # As Docker's command does: a section that is given at all is given whole.
        spec["UpdateConfig"].setdefault("Parallelism", 1)
    if given.get("replicas") is not None:
        if "Global" in spec["Mode"]:
            raise click.UsageError("replicas can only be used with replicated or replicated-job mode")
        spec["Mode"] = {"Replicated": {"Replicas": given["replicas"]}}


def _section(spec: Json, path: Sequence[str], given: dict[str, Any], **fields: str) -> None:
    if all(given.get(flag) is None for flag in fields):
        return
    for name in path:
        if spec.get(name) is None:
            spec[name] = {}
        spec = spec[name]
    _put(spec, given, **fields)


def _put(section: Json, given: dict[str, Any], **fields: str) -> None:
    for flag, field in fields.items():
        if given.get(flag) is not None:
            section[field] = given[flag]
