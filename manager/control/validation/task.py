"""What a service's tasks run, what they may use and where they may run."""

import re

from core.errors import InvalidArgument
from core.model import ContainerSpec, Placement, Resources, RestartPolicy, TaskSpec
from core.units import format_size
from manager.control.validation.checks import check_count, check_duration
from manager.control.validation.dependencies import validate_references
from manager.control.validation.mounts import validate_mounts
from manager.scheduler.constraint import is_label, parse_constraints

MIN_NANO_CPUS = 10**6
MIN_MEMORY = 4 << 20
_MAX_IMAGE = 1024
# The grammar of a reference: https://github.com/distribution/reference, without its rarest forms of a host.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|__|_|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d+)?/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_SIGNAL = re.compile(r"(?:SIG)?[A-Z][A-Z0-9]*(?:[+-]\d+)?|\d{1,2}", re.IGNORECASE)


def validate_task_spec(spec: TaskSpec) -> None:
    """Raises InvalidArgument."""
    if spec.runtime not in ("", "container"):
        raise InvalidArgument(f"TaskSpec: runtime {spec.runtime!r} is not there: tasks are containers")
    _validate_container(spec.container)
    if spec.resources is not None:
        for resources in (spec.resources.limits, spec.resources.reservations):
            if resources is not None:
                _validate_resources(resources)
    if spec.restart is not None:
        _validate_restart(spec.restart)
    if spec.placement is not None:
        _validate_placement(spec.placement)


def _validate_container(container: ContainerSpec) -> None:
    if not container.image:
        raise InvalidArgument("ContainerSpec: image reference must be provided")
    if len(container.image) > _MAX_IMAGE or not _IMAGE.fullmatch(container.image):
        raise InvalidArgument(f"ContainerSpec: {container.image[:_MAX_IMAGE]!r} is not a valid repository/tag")
    check_duration("the stop grace period", container.stop_grace_period)
    if container.stop_signal and not _SIGNAL.fullmatch(container.stop_signal):
        raise InvalidArgument(f"ContainerSpec: {container.stop_signal!r} is no signal: write it like SIGTERM or 15")
    if container.isolation not in ("", "default"):
        raise InvalidArgument(f"ContainerSpec: isolation {container.isolation!r} is not there: leave it out")
    validate_mounts(container.mounts)
    validate_references(container)


def _validate_resources(resources: Resources) -> None:
    if resources.nano_cpus and resources.nano_cpus < MIN_NANO_CPUS:
        raise InvalidArgument(f"invalid cpu value {resources.nano_cpus / 1e9:g}: must be at least 0.001")
    if resources.memory_bytes and resources.memory_bytes < MIN_MEMORY:
        raise InvalidArgument(
            f"invalid memory value {resources.memory_bytes}: must be at least {format_size(MIN_MEMORY)}"
        )


def _validate_restart(restart: RestartPolicy) -> None:
    check_duration("the restart delay", restart.delay)
    check_duration("the restart window", restart.window)
    check_count("the number of restart attempts", restart.max_attempts)


def _validate_placement(placement: Placement) -> None:
    parse_constraints(placement.constraints)
    for preference in placement.preferences:
        if not is_label(preference):
            raise InvalidArgument(f"tasks cannot be spread over {preference!r}: name a label, such as node.labels.zone")
