"""Health checks: as the engine takes them, and what it says of them. Pure."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from core.model import HealthCheck
from worker.executor import TaskError

_START_INTERVAL_API = (1, 44)
_LONGEST_OUTPUT = 200


class Health(Enum):
    """A container without a health check is healthy as long as it runs."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


def health_config(check: HealthCheck | None, api_version: tuple[int, int]) -> dict[str, Any] | None:
    """Raises TaskError for what an engine of `api_version` would leave out silently."""
    if check is None:
        return None
    if check.start_interval and api_version < _START_INTERVAL_API:
        raise TaskError(
            "this node's engine is too old for a start interval of health checks; leave it out or upgrade the engine "
            "(API 1.44)"
        )
    config: dict[str, Any] = {
        "Test": list(check.test),
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
        "Retries": check.retries,
    }
    return {key: value for key, value in config.items() if value}


def health_of_status(status: str) -> Health:
    """Of a listed container's status, such as `Up 3 minutes (unhealthy)` or `Up 1 second (health: starting)`."""
    for health in (Health.UNHEALTHY, Health.STARTING):
        if status.endswith((f"({health.value})", f"(health: {health.value})")):
            return health
    return Health.HEALTHY


def health_of_state(state: Mapping[str, Any]) -> Health:
    """Of an inspected container's State."""
    said = (state.get("Health") or {}).get("Status", "none")
    return Health.HEALTHY if said == "none" else health_named(said)


def health_named(word: str) -> Health:
    """Of an event; there are some that say that a check begins."""
    return next((health for health in Health if health.value == word), Health.STARTING)


def why_unhealthy(state: Mapping[str, Any]) -> str:
    """What the last check of an inspected container's State said."""
    log = (state.get("Health") or {}).get("Log") or []
    if not log:
        return "unhealthy container"
    output = " ".join(log[-1]["Output"].split())[:_LONGEST_OUTPUT]
    reason = f"unhealthy container: its health check ended with {log[-1]['ExitCode']}"
    return f"{reason}: {output}" if output else reason
