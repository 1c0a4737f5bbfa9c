"""Go's own template functions."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from core.gotemplate.errors import TemplateError
from core.gotemplate.values import NoValue, Value, show

Functions = Mapping[str, Callable[..., Any]]
"""By the names that templates call them by."""

_VERB = re.compile(r"%([-+0# ]*)(\d*)(\.\d+)?([a-zA-Z%])")


def call(functions: Functions, name: str, arguments: list[Value]) -> Value:
    """Raises TemplateError if the arguments do not fit."""
    try:
        return functions[name](*arguments)
    except (TypeError, AttributeError, ValueError, LookupError) as error:
        raise TemplateError(f"error calling {name}: {error}") from None


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(value, list):
            if not isinstance(key, int) or not 0 <= key < len(value):
                raise TemplateError(f"error calling index: index out of range: {show(key)}")
            value = value[key]
        elif isinstance(value, dict):
            value = value.get(key, "")
        else:
            raise TemplateError(f"error calling index: can't index {show(value)}")
    return value


def _slice(value: Value, *bounds: int) -> Value:
    return value[slice(*bounds)] if len(bounds) != 1 else value[bounds[0] :]


def _print(*values: Value) -> str:
    """With a blank between two of which neither is a string."""
    text = ""
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            text += " "
        text += show(value)
    return text


def _printf(form: str, *values: Value) -> str:
    given = iter(values)

    def one(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        value = next(given, NoValue())
        if verb in "deEfgGxX" and isinstance(value, int | float):
            return str(f"%{flags}{width}{precision or ''}{verb}" % value)
        text = '"' + show(value).replace("\\", "\\\\").replace('"', '\\"') + '"' if verb == "q" else show(value)
        text = text[: int(precision[1:])] if precision else text
        return text.ljust(int(width or 0)) if "-" in flags else text.rjust(int(width or 0))

    return _VERB.sub(one, form)


BUILTINS: Functions = {
    "len": lambda value: len(value),
    "index": _index,
    "slice": _slice,
    "print": _print,
    "println": lambda *values: " ".join(map(show, values)) + "\n",
    "printf": _printf,
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "not": operator.not_,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}
