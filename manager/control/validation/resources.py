"""What tasks may use, and what is kept free for them."""

from core.errors import InvalidArgument
from core.model import ResourceRequirements, Resources
from core.units import format_size
from manager.control.validation.checks import check_count

MIN_NANO_CPUS = 10**6
MIN_MEMORY = 4 << 20


def validate_requirements(requirements: ResourceRequirements) -> None:
    """Raises InvalidArgument."""
    limits, reservations = requirements.limits, requirements.reservations
    for resources in (limits, reservations):
        if resources is not None:
            _validate_resources(resources)
    if limits is not None and limits.generic:
        raise InvalidArgument("generic resources are reserved, not limited: ask for them in the reservations")
    if reservations is not None:
        _validate_generic(reservations)
    if requirements.swap_bytes is not None:
        if requirements.swap_bytes < -1:
            raise InvalidArgument("swap cannot be below -1, which is without limit")
        if limits is None or not limits.memory_bytes:
            raise InvalidArgument("swap can be limited only together with memory: set a memory limit too")
    swappiness = requirements.memory_swappiness
    if swappiness is not None and not -1 <= swappiness <= 100:
        raise InvalidArgument(f"the memory swappiness must be from 0 to 100, or -1 for the default, not {swappiness}")


def _validate_resources(resources: Resources) -> None:
    if resources.nano_cpus and resources.nano_cpus < MIN_NANO_CPUS:
        raise InvalidArgument(f"invalid cpu value {resources.nano_cpus / 1e9:g}: Must be at least 0.001")
    if resources.memory_bytes and resources.memory_bytes < MIN_MEMORY:
        raise InvalidArgument(
            f"invalid memory value {resources.memory_bytes}: Must be at least {format_size(MIN_MEMORY)}"
        )
    check_count("the number of processes", resources.pids)


def _validate_generic(reservations: Resources) -> None:
    kinds: set[str] = set()
    for resource in reservations.generic:
        if not resource.kind:
            raise InvalidArgument("a generic resource needs a name: write it like gpu=2")
        if resource.id:
            raise InvalidArgument(
                f"invalid generic resource {resource.kind}={resource.id}: ask for a number, the scheduler chooses which"
            )
        if resource.value < 1:
            raise InvalidArgument(f"the number of {resource.kind} must be at least 1")
        if resource.kind in kinds:
            raise InvalidArgument(f"generic resource {resource.kind} is asked for twice: name it once, with a number")
        kinds.add(resource.kind)
