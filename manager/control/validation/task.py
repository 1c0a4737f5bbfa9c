"""What a service's tasks run, what they may use and where they may run."""

from core.errors import InvalidArgument
from core.model import LogDriver, Placement, RestartPolicy, TaskSpec
from manager.control.validation.checks import check_count, check_duration
from manager.control.validation.container import validate_container
from manager.control.validation.resources import validate_requirements
from manager.scheduler.constraint import is_label, parse_constraints


def validate_task_spec(spec: TaskSpec) -> None:
    """Raises InvalidArgument."""
    if spec.runtime not in ("", "container"):
        raise InvalidArgument(f"TaskSpec: runtime {spec.runtime!r} is not there: tasks are containers")
    validate_container(spec.container)
    if spec.resources is not None:
        validate_requirements(spec.resources)
    if spec.restart is not None:
        _validate_restart(spec.restart)
    if spec.placement is not None:
        _validate_placement(spec.placement)
    if spec.log_driver is not None:
        validate_log_driver(spec.log_driver)


def validate_log_driver(driver: LogDriver) -> None:
    if not driver.name:
        raise InvalidArgument("options of a log driver need its name: say which driver, such as json-file")


def _validate_restart(restart: RestartPolicy) -> None:
    check_duration("the restart delay", restart.delay)
    check_duration("the restart window", restart.window)
    check_count("the number of restart attempts", restart.max_attempts)


def _validate_placement(placement: Placement) -> None:
    parse_constraints(placement.constraints)
    check_count("the number of replicas per node", placement.max_replicas)
    for preference in placement.preferences:
        if not is_label(preference):
            raise InvalidArgument(f"tasks cannot be spread over {preference!r}: name a label, such as node.labels.zone")
