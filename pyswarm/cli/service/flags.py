"""The flags that `create` and `update` share, and what each puts into a service's spec (the API's JSON)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from pyswarm.cli.completion import complete_services
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import (
    COMMAND,
    COUNT,
    CPUS,
    DURATION,
    LABEL,
    NUMBER,
    RATIO,
    SIZE,
    SWAP,
    Choice,
    Switch,
    mapping,
)
from pyswarm.cli.service.capabilities import change_capabilities
from pyswarm.cli.service.health import change_health, health_flags

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
        ([f"--{verb}-failure-action"], {"type": Choice(actions), "help": f"What follows if {verb}s fail (pause)."}),
        ([f"--{verb}-max-failure-ratio"], {"type": RATIO, "help": f"Part of the tasks that may fail at {verb}s (0)."}),
        ([f"--{verb}-order"], {"type": Choice(orders), "help": f"What comes first at {verb}s (stop-first)."}),
    )


_SHARED: Sequence[_Flag] = (
    (["--replicas"], {"type": COUNT, "help": "Number of tasks; of a job, how many must complete."}),
    (["--max-concurrent"], {"type": COUNT, "help": "Tasks of a job that run at once (as many as --replicas)."}),
    (["--replicas-max-per-node"], {"type": COUNT, "help": "Most tasks per node (0: without limit)."}),
    (["--cap-add"], {"multiple": True, "help": "Add Linux capabilities, like NET_ADMIN."}),
    (["--cap-drop"], {"multiple": True, "help": "Drop Linux capabilities."}),
    (["--endpoint-mode"], {"type": Choice(["vip", "dnsrr"]), "help": "How the service is reached (vip)."}),
    (["--entrypoint"], {"type": COMMAND, "help": "Overwrite the default entry point of the image."}),
    (["--hostname"], {"help": "Container hostname."}),
    (["-u", "--user"], {"help": "User name or id, and group: NAME|UID[:GROUP|GID]."}),
    (["-w", "--workdir"], {"help": "Working directory inside the container."}),
    (["--init"], {"cls": Switch, "help": "Use an init inside each container to forward signals and reap processes."}),
    (["-t", "--tty"], {"cls": Switch, "help": "Allocate a pseudo-TTY."}),
    (["--read-only"], {"cls": Switch, "help": "Mount the container's root filesystem as read only."}),
    (["--limit-cpu"], {"type": CPUS, "help": "Limit CPUs."}),
    (["--limit-memory"], {"type": SIZE, "help": "Limit memory."}),
    (["--limit-pids"], {"type": COUNT, "help": "Limit the number of processes (0: without limit)."}),
    (["--memory-swap"], {"type": SWAP, "help": "Swap beside the limited memory (-1: without limit)."}),
    (["--memory-swappiness"], {"type": NUMBER, "help": "Tune memory swappiness, 0 to 100 (-1: the default)."}),
    (["--oom-score-adj"], {"type": NUMBER, "help": "Tune the host's OOM preference, -1000 to 1000."}),
    (["--log-driver"], {"help": "Logging driver."}),
    (["--log-opt"], {"multiple": True, "type": LABEL, "help": "Logging driver options, like max-size=1m."}),
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
    (
        ["--no-resolve-image"],
        {"is_flag": True, "help": "Do not ask the registry for the image's digest and platforms."},
    ),
    (
        ["--with-registry-auth"],
        {"is_flag": True, "help": "Send this machine's credentials for the registry to the nodes."},
    ),
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
    return detach_option(quiet_progress_option(health_flags(command)))


def apply_shared(spec: Json, given: dict[str, Any]) -> None:
    """Puts the flags that were given (not None) into `spec`, and leaves the rest of it as it is.

    A section of which anything is given starts from Docker's defaults. Raises click.ClickException.
    """
    template = spec["TaskTemplate"]
    container = template["ContainerSpec"]
    _put(
        container,
        given,
        entrypoint="Command",
        hostname="Hostname",
        user="User",
        workdir="Dir",
        stop_signal="StopSignal",
        stop_grace_period="StopGracePeriod",
        init="Init",
        tty="TTY",
        read_only="ReadOnly",
        oom_score_adj="OomScoreAdj",
    )
    change_capabilities(container, given["cap_add"], given["cap_drop"])
    change_health(container, given)
    _apply_resources(template, given)
    _apply_log_driver(template, given)
    if given["endpoint_mode"] is not None:
        _section(spec, "EndpointSpec", {})["Mode"] = given["endpoint_mode"]
    if given["replicas_max_per_node"] is not None:
        _section(template, "Placement", {})["MaxReplicas"] = given["replicas_max_per_node"]
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


def _apply_resources(template: Json, given: dict[str, Any]) -> None:
    limits = {"limit_cpu": "NanoCPUs", "limit_memory": "MemoryBytes", "limit_pids": "Pids"}
    reservations = {"reserve_cpu": "NanoCPUs", "reserve_memory": "MemoryBytes"}
    memory = {"memory_swap": "SwapBytes", "memory_swappiness": "MemorySwappiness"}
    if _any(given, {**limits, **reservations, **memory}):
        resources = _section(template, "Resources", {})
        _put(_section(resources, "Limits", {}), given, **limits)
        _put(_section(resources, "Reservations", {}), given, **reservations)
        _put(resources, given, **memory)


def _apply_log_driver(template: Json, given: dict[str, Any]) -> None:
    if given["log_driver"]:
        driver = {"Name": given["log_driver"], "Options": mapping(given["log_opt"])}
        template["LogDriver"] = {field: value for field, value in driver.items() if value}
    elif given["log_opt"]:
        raise click.ClickException("--log-opt needs --log-driver: options are those of one driver")


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
