"""What several validations need."""

from core.codec import dump
from core.errors import InvalidArgument, ResourceExhausted
from core.units import format_duration, format_size

MAX_SPEC = 256 << 10
"""Bytes of one spec. A change carries up to three of them in a log entry of at most 1 MiB."""


def check_size(spec: object) -> None:
    """Raises ResourceExhausted, and InvalidArgument for what the wire cannot carry."""
    try:
        size = len(dump(spec))
    except ValueError as error:
        raise InvalidArgument(f"the spec holds a number or a text that is out of range: {error}") from error
    if size > MAX_SPEC:
        raise ResourceExhausted(f"the spec takes {format_size(size)} of at most {format_size(MAX_SPEC)}: shorten it")


def check_duration(name: str, nanoseconds: int | None, least: int = 0) -> None:
    if nanoseconds is None or nanoseconds >= least:
        return
    if not least:
        raise InvalidArgument(f"{name} cannot be negative")
    raise InvalidArgument(f"{name} must be at least {format_duration(least)}, not {format_duration(nanoseconds)}")


def check_count(name: str, value: int | None) -> None:
    if value is not None and value < 0:
        raise InvalidArgument(f"{name} cannot be negative")
