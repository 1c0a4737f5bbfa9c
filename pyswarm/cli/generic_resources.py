"""What a node declares beside CPUs and memory: `gpu=UUID1,gpu=UUID2`, `ssd=3`, as dockerd's node-generic-resources."""

from collections.abc import Iterable

from core.errors import InvalidArgument
from core.model import GenericResource


def parse_generic_resources(texts: Iterable[str]) -> tuple[GenericResource, ...]:
    """One number for a kind is how many there are; anything else names one of them. Raises InvalidArgument."""
    values: dict[str, list[str]] = {}
    for text in texts:
        for item in text.split(","):
            kind, separator, value = (part.strip() for part in item.partition("="))
            if not (kind and separator and value) or "=" in value:
                raise InvalidArgument(f"invalid generic resource {item!r}: write it like gpu=UUID1 or ssd=3")
            values.setdefault(kind, []).append(value)
    return tuple(resource for kind, found in values.items() for resource in _resources(kind, found))


def _resources(kind: str, values: list[str]) -> list[GenericResource]:
    if len(values) == 1 and _is_number(values[0]):
        number = int(values[0])
        if not 0 < number < 2**63:
            raise InvalidArgument(f"invalid generic resource '{kind}={number}': give how many there are, like {kind}=3")
        return [GenericResource(kind, value=number)]
    if any(map(_is_number, values)):
        raise InvalidArgument(
            f"generic resource {kind!r} has {', '.join(values)}: give one number, or a name for each of them"
        )
    if len(set(values)) < len(values):
        raise InvalidArgument(f"generic resource {kind!r} has one name twice: {', '.join(values)}")
    return [GenericResource(kind, id=value) for value in values]


def _is_number(text: str) -> bool:
    return text.removeprefix("-").removeprefix("+").isdecimal()
