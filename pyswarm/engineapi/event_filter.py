"""Docker's filters of events. Pure."""

from collections.abc import Callable, Mapping, Sequence

from core.errors import InvalidArgument
from manager.control.api import Filters
from manager.control.filters import has_labels
from pyswarm.engineapi.wire.events import TYPES
from pyswarm.engineapi.wire.json_types import Json

SWARM, LOCAL = "swarm", "local"
_BY_ACTOR = frozenset(TYPES.values()) | {"container", "daemon", "image", "network", "plugin", "volume"}
"""Filters of the actor's id or name, or the beginning of one; each also lets in only events of what it names."""
_KNOWN = _BY_ACTOR | {"event", "label", "scope", "type"}


class EventFilter:
    """Raises InvalidArgument for a filter that there is not, which Docker's engine leaves out without a word. A value
    that there is not, such as an unknown type, lets nothing pass, there as here: the next engine may know it."""

    def __init__(self, filters: Filters) -> None:
        unknown = sorted(filters.keys() - _KNOWN)
        if unknown:
            raise InvalidArgument(f"invalid filter '{unknown[0]}': there are {', '.join(sorted(_KNOWN))}")
        self._filters = {key: values for key, values in filters.items() if values}

    def wants(self, scope: str) -> bool:
        """Whether events of this scope may pass at all."""
        types = self._filters.get("type")
        return scope in self._filters.get("scope", (scope,)) and (
            types is None or any((one in TYPES.values()) is (scope == SWARM) for one in types)
        )

    def passes(self, event: Json) -> bool:
        tests: Mapping[str, Callable[[Sequence[str]], bool]] = {
            "type": lambda values: event["Type"] in values,
            "scope": lambda values: event["scope"] in values,
            "event": lambda values: event["Action"] in values,
            "label": lambda values: has_labels(event["Actor"]["Attributes"], values),
        }
        return all(
            tests[key](values) if key in tests else _is_of(event, key, values) for key, values in self._filters.items()
        )


def _is_of(event: Json, kind: str, values: Sequence[str]) -> bool:
    names = (event["Actor"]["ID"], event["Actor"]["Attributes"].get("name", ""))
    return event["Type"] == kind and any(name.startswith(tuple(values)) for name in names)
