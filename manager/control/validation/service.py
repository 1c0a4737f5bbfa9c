"""What may be asked of a service."""

import re

from core.errors import InvalidArgument
from core.model import FailureAction, ServiceMode, ServiceSpec, UpdateConfig
from manager.control.validation.checks import check_count, check_duration, check_size
from manager.control.validation.ports import validate_endpoint
from manager.control.validation.task import validate_task_spec
from manager.control.validation.templates import validate_templates

MAX_NAME = 63
MAX_REPLICAS = 100_000
_NAME = re.compile(r"[A-Za-z0-9](?:[-_A-Za-z0-9]*[A-Za-z0-9])?")


def validate_service_spec(spec: ServiceSpec) -> None:
    """Raises InvalidArgument, or ResourceExhausted if it is too large."""
    validate_name(spec.name)
    if spec.mode is ServiceMode.GLOBAL and spec.replicas is not None:
        raise InvalidArgument("a global service has one task on every node: leave the number of replicas out")
    numbers = {
        "replicas": spec.replicas,
        "completions": spec.total_completions,
        "tasks at once": spec.max_concurrent,
    }
    for what, number in numbers.items():
        check_count(f"the number of {what}", number)
        if number is not None and number > MAX_REPLICAS:
            raise InvalidArgument(f"{number} {what} are more than the {MAX_REPLICAS} that a service may have")
    if spec.max_concurrent == 0:
        raise InvalidArgument("a job of which no task may run never ends: the number of tasks at once is 1 or more")
    if spec.mode.is_job and (spec.update is not None or spec.rollback is not None):
        raise InvalidArgument("update and rollback configuration is not supported for jobs: an update runs them again")
    placement = spec.task.placement
    if spec.mode in (ServiceMode.GLOBAL, ServiceMode.GLOBAL_JOB) and placement is not None and placement.max_replicas:
        raise InvalidArgument("a global service has one task on every node: leave the replicas per node out")
    validate_task_spec(spec.task)
    for name, config in (("update", spec.update), ("rollback", spec.rollback)):
        if config is not None:
            _validate_update(name, config)
    if spec.endpoint is not None:
        validate_endpoint(spec.endpoint)
    check_size(spec)
    validate_templates(spec)


def validate_name(name: str) -> None:
    if not name:
        raise InvalidArgument("a service must have a name")
    if len(name) > MAX_NAME:
        raise InvalidArgument(f"name must be {MAX_NAME} characters or fewer")
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            "name must be valid as a DNS name component: letters, digits, '-' and '_', "
            "with a letter or a digit at both ends"
        )


def _validate_update(name: str, config: UpdateConfig) -> None:
    check_count(f"{name} parallelism", config.parallelism)
    check_duration(f"{name} delay", config.delay)
    check_duration(f"{name} monitor", config.monitor)
    if not 0 <= config.max_failure_ratio <= 1:
        raise InvalidArgument(f"{name} max failure ratio cannot be less than 0 or bigger than 1")
    if name == "rollback" and config.failure_action is FailureAction.ROLLBACK:
        raise InvalidArgument(
            "a rollback that fails is not rolled back again: use the failure action pause or continue"
        )
