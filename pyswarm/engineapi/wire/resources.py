"""What tasks may use and what is kept free for them, and what a node has."""

from core.errors import InvalidArgument
from core.model import GenericResource, ResourceRequirements, Resources
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, given, some


def read_requirements(fields: Fields | None) -> ResourceRequirements | None:
    if fields is None:
        return None
    return ResourceRequirements(
        limits=_read_limits(fields.child("Limits")),
        reservations=_read_reservations(fields.child("Reservations")),
        swap_bytes=fields.maybe_integer("SwapBytes", low=-1),
        memory_swappiness=fields.maybe_integer("MemorySwappiness", low=-1, high=100),
    )


def show_requirements(requirements: ResourceRequirements) -> Json:
    limits, reservations = requirements.limits, requirements.reservations
    return given(
        Limits=limits and show_resources(limits),
        Reservations=reservations and show_resources(reservations),
        SwapBytes=requirements.swap_bytes,
        MemorySwappiness=requirements.memory_swappiness,
    )


def show_resources(resources: Resources) -> Json:
    return some(
        NanoCPUs=resources.nano_cpus,
        MemoryBytes=resources.memory_bytes,
        Pids=resources.pids,
        GenericResources=show_generic(resources.generic),
    )


def show_generic(resources: tuple[GenericResource, ...]) -> list[Json]:
    return [
        {"NamedResourceSpec": some(Kind=resource.kind, Value=resource.id)}
        if resource.id
        else {"DiscreteResourceSpec": some(Kind=resource.kind, Value=resource.value)}
        for resource in resources
    ]


def _read_limits(fields: Fields | None) -> Resources | None:
    if fields is None:
        return None
    return Resources(
        nano_cpus=fields.integer("NanoCPUs"), memory_bytes=fields.integer("MemoryBytes"), pids=fields.integer("Pids")
    )


def _read_reservations(fields: Fields | None) -> Resources | None:
    if fields is None:
        return None
    return Resources(
        nano_cpus=fields.integer("NanoCPUs"),
        memory_bytes=fields.integer("MemoryBytes"),
        generic=tuple(_read_generic(resource) for resource in fields.children("GenericResources")),
    )


def _read_generic(fields: Fields) -> GenericResource:
    named, discrete = fields.child("NamedResourceSpec"), fields.child("DiscreteResourceSpec")
    if (named is None) == (discrete is None):
        raise InvalidArgument(f"{fields.name('DiscreteResourceSpec')} or NamedResourceSpec must be given, and not both")
    if discrete is not None:
        return GenericResource(kind=discrete.text("Kind"), value=discrete.integer("Value"))
    assert named is not None
    resource = GenericResource(kind=named.text("Kind"), id=named.text("Value"))
    if not resource.id:
        raise InvalidArgument(f"{named.name('Value')} must name one of the resources")
    return resource
