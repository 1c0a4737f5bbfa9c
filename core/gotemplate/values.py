"""What a template works on, and how Go prints it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from core.gotemplate.errors import TemplateError

Value = Any
"""None, bool, int, float, str, list, dict, or one of the kinds below."""

Lookup = Callable[[str, Mapping[str, Value], str], Value]
"""(the name that led to an object, the object, a field's name) -> the field. Raises TemplateError."""


class Printed(ABC):
    """A kind of value that Go prints in a way of its own."""

    @abstractmethod
    def printed(self) -> str: ...


class NoValue:
    """What a map does not hold."""

    def __bool__(self) -> bool:
        return False


_KINDS = {bool: "bool", int: "int", float: "float", str: "string", list: "list", dict: "map"}


def field(parent: str, value: Mapping[str, Value], name: str) -> Value:
    """The plain Lookup: a field that is not there is an error."""
    if name not in value:
        raise TemplateError(f"can't evaluate field {name}: there is {', '.join(value) or 'none'}")
    return value[name]


def kind(value: Value) -> str:
    """What errors say of a value: it may be secret itself."""
    for types, name in _KINDS.items():
        if isinstance(value, types):
            return name
    return "nil"


def show(value: Value) -> str:
    """As Go prints a value."""
    if value is None:
        return "<nil>"
    if isinstance(value, NoValue):
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Printed):
        return value.printed()
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{show(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(show(item) for item in value) + "]"
    return str(value)
