"""What a template works on, and how Go prints it."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from core.units import format_duration
from pyswarm.cli.gotemplate.errors import TemplateError
from pyswarm.cli.words import go_time

Value = Any
"""Parsed JSON: None, bool, int, float, str, list, dict, or one of the kinds below."""

Lookup = Callable[[str, Mapping[str, Value], str], Value]
"""(the name that led to an object, the object, a field's name) -> the field. Raises TemplateError."""


class Duration(int):
    """Nanoseconds, printed as `10s`."""


class Moment(str):
    """A time of the API, printed as `2026-11-21 07:06:20 +0000 UTC`."""


class Row(dict[str, Value]):
    """A line of a listing: Go escapes what HTML would read when it encodes one."""


class NoValue:
    """What a map does not hold."""

    def __bool__(self) -> bool:
        return False


def field(parent: str, value: Mapping[str, Value], name: str) -> Value:
    """The plain Lookup: a field that is not there is an error."""
    if name not in value:
        raise TemplateError(f"can't evaluate field {name}: there is {', '.join(value) or 'none'}")
    return value[name]


def show(value: Value) -> str:
    """As Go prints a value."""
    if value is None:
        return "<nil>"
    if isinstance(value, NoValue):
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Duration):
        return format_duration(value)
    if isinstance(value, Moment):
        return go_time(value)
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{show(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(show(item) for item in value) + "]"
    return str(value)


def to_json(value: Value) -> str:
    """As Go encodes it: without blanks."""
    if isinstance(value, NoValue):
        return "null"
    if not isinstance(value, Row):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
