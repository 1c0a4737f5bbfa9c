"""One JSON object of a request, read as Go reads it, with every key accounted for.

Keys match in any case, null is the same as absent, and of two spellings of one key the last counts. A key that
nobody asked for must hold a zero value: what pyswarm does not have yet is refused by name, never ignored.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import TypeVar

from core.errors import InvalidArgument

E = TypeVar("E", bound=IntEnum)

INT64_MAX = 2**63 - 1
INT32_MAX = 2**31 - 1
UINT64_MAX = 2**64 - 1


class Fields:
    """A cursor over one object. `path` names it in messages; `finish` on the outermost one checks all of them."""

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            raise InvalidArgument(f"{path or 'the request body'} must be a JSON object")
        self._path = path
        self._values: dict[str, tuple[str, object]] = {}
        for key, item in value.items():
            self._values[key.lower()] = (key, item)
        self._children: list[Fields] = []

    def name(self, key: str) -> str:
        """The whole name of `key`, as messages give it."""
        return f"{self._path}.{key}" if self._path else key

    def text(self, key: str) -> str:
        value = self._take(key)
        return "" if value is None else _text(value, self.name(key))

    def flag(self, key: str) -> bool:
        return self.maybe_flag(key) or False

    def maybe_flag(self, key: str) -> bool | None:
        value = self._take(key)
        if value is not None and not isinstance(value, bool):
            raise InvalidArgument(f"{self.name(key)} must be true or false")
        return value

    def integer(self, key: str, low: int = 0, high: int = INT64_MAX) -> int:
        value = self.maybe_integer(key, low, high)
        return 0 if value is None else value

    def maybe_integer(self, key: str, low: int = 0, high: int = INT64_MAX) -> int | None:
        """Raises InvalidArgument for a number outside `low` to `high`."""
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidArgument(f"{self.name(key)} must be a whole number")
        if value < low == 0:
            raise InvalidArgument(f"{self.name(key)} cannot be negative")
        if not low <= value <= high:
            raise InvalidArgument(f"{self.name(key)} must be between {low} and {high}")
        return value

    def number(self, key: str) -> float:
        value = self._take(key)
        if value is None:
            return 0.0
        if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > INT64_MAX:
            raise InvalidArgument(f"{self.name(key)} must be a number")
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        name = self.name(key)
        return tuple(_text(item, f"{name}[{position}]") for position, item in enumerate(self._list(key)))

    def labels(self, key: str) -> dict[str, str]:
        """An object whose values are all strings; its keys keep their case."""
        value = self._take(key)
        name = self.name(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise InvalidArgument(f"{name} must be a JSON object")
        return {_text(label, name): _text(item, f"{name}.{label}") for label, item in value.items()}

    def choice(self, key: str, choices: Mapping[str, E], default: E) -> E:
        """The member that the text names; `default` for none or an empty one."""
        text = self.text(key)
        if not text:
            return default
        found = choices.get(text.lower())
        if found is None:
            raise InvalidArgument(f"{self.name(key)}: {text!r} is not one that pyswarm supports ({', '.join(choices)})")
        return found

    def child(self, key: str) -> "Fields | None":
        value = self._take(key)
        return None if value is None else self._open(value, self.name(key))

    def children(self, key: str) -> "list[Fields]":
        name = self.name(key)
        return [self._open(item, f"{name}[{position}]") for position, item in enumerate(self._list(key))]

    def finish(self) -> None:
        """Raises InvalidArgument if a key that was not read, here or below, holds more than a zero value."""
        for key, value in self._values.values():
            if not is_zero(value):
                raise InvalidArgument(f"{self.name(key)} is not supported by pyswarm yet")
        for child in self._children:
            child.finish()

    def _open(self, value: object, path: str) -> "Fields":
        child = Fields(value, path)
        self._children.append(child)
        return child

    def _list(self, key: str) -> list[object]:
        value = self._take(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise InvalidArgument(f"{self.name(key)} must be a list")
        return value

    def _take(self, key: str) -> object:
        return self._values.pop(key.lower(), (key, None))[1]


def is_zero(value: object) -> bool:
    """Whether Go would have read `value` as a zero value, at any depth: null, false, 0, "", [], {}."""
    if isinstance(value, dict):
        return all(is_zero(item) for item in value.values())
    return not value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} must be a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{name} is not valid Unicode") from None
    return value
