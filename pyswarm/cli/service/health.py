"""--health-* and --no-healthcheck."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pyswarm.cli.json_types import Json
from pyswarm.cli.options import COUNT, DURATION

F = TypeVar("F", bound=Callable[..., Any])

_FIELDS = {
    "health_interval": "Interval",
    "health_timeout": "Timeout",
    "health_retries": "Retries",
    "health_start_period": "StartPeriod",
    "health_start_interval": "StartInterval",
}
_FLAGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--health-cmd", {"help": "Command to run to check health."}),
    ("--health-interval", {"type": DURATION, "help": "Time between running the check."}),
    ("--health-retries", {"type": COUNT, "help": "Consecutive failures needed to report unhealthy."}),
    ("--health-start-interval", {"type": DURATION, "help": "Time between running the check in the start period."}),
    ("--health-start-period", {"type": DURATION, "help": "Time to initialize before failures count."}),
    ("--health-timeout", {"type": DURATION, "help": "Maximum time to allow one check to run."}),
    ("--no-healthcheck", {"is_flag": True, "help": "Disable the image's health check."}),
)


def health_flags(command: F) -> F:
    for name, settings in reversed(_FLAGS):
        command = click.option(name, **settings)(command)
    return command


def change_health(container: Json, given: dict[str, Any]) -> None:
    """Raises click.ClickException for flags that contradict each other."""
    wanted = {field: given[flag] for flag, field in _FIELDS.items() if given[flag] is not None}
    command = given["health_cmd"]
    if given["no_healthcheck"]:
        if wanted or command is not None:
            raise click.ClickException("--no-healthcheck conflicts with --health-* options")
        container["Healthcheck"] = {"Test": ["NONE"]}
        return
    if not wanted and command is None:
        return
    check = dict(container.get("Healthcheck") or {})
    if command is not None or check.get("Test") == ["NONE"]:
        check.pop("Test", None)
    if command:
        check["Test"] = ["CMD-SHELL", command]
    container["Healthcheck"] = {**check, **wanted}
