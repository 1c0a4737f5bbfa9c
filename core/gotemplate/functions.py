"""Go's own template functions."""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core.gotemplate.budget import Budget
from core.gotemplate.errors import TemplateError
from core.gotemplate.values import NoValue, Value, kind, show

Functions = Mapping[str, Callable[..., Any]]
"""By the names that templates call them by. One that makes much of little yields it in parts, for each is paid for."""

_VERB = re.compile(r"%([-+0# ]*+)(\d*+)(\.\d++)?+([a-zA-Z%])")
_MAX_DIGITS = 6


def call(functions: Functions, name: str, arguments: list[Value], budget: Budget) -> Value:
    """Raises TemplateError if the arguments do not fit, or come to too much."""
    budget.spend(sum(map(_size, arguments)))
    try:
        result = functions[name](*arguments)
        if isinstance(result, Iterator):
            return "".join(budget.paid(result))
    except (TypeError, AttributeError, ValueError, LookupError, ArithmeticError):
        raise TemplateError(f"error calling {name}: it does not take ({', '.join(map(kind, arguments))})") from None
    budget.spend(_size(result))
    return result


def _size(value: Value) -> int:
    return len(value) if isinstance(value, str | list | dict) else 1


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(value, list):
            if not isinstance(key, int) or not 0 <= key < len(value):
                raise TemplateError("error calling index: index out of range")
            value = value[key]
        elif isinstance(value, dict):
            value = value.get(key, "")
        else:
            raise TemplateError(f"error calling index: can't index {kind(value)}")
    return value


def _slice(value: Value, *bounds: int) -> Value:
    return value[slice(*bounds)] if len(bounds) != 1 else value[bounds[0] :]


def _print(*values: Value) -> Iterator[str]:
    """With a blank between two of which neither is a string."""
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            yield " "
        yield show(value)


def _println(*values: Value) -> Iterator[str]:
    for position, value in enumerate(values):
        yield " " + show(value) if position else show(value)
    yield "\n"


def _printf(form: str, *values: Value) -> Iterator[str]:
    given = iter(values)
    position = 0
    for match in _VERB.finditer(form):
        yield form[position : match.start()]
        yield "%" if match[4] == "%" else _formatted(match, next(given, NoValue()))
        position = match.end()
    yield form[position:]


def _formatted(match: re.Match[str], value: Value) -> str:
    flags, width, precision, verb = match[1], match[2], match[3] or "", match[4]
    if max(len(width), len(precision.removeprefix("."))) > _MAX_DIGITS:
        raise TemplateError(f"error calling printf: a width or precision has more than {_MAX_DIGITS} digits")
    if verb in "deEfgGxX" and isinstance(value, int | float):
        return str(f"%{flags}{width}{precision}{verb}" % value)
    text = '"' + show(value).replace("\\", "\\\\").replace('"', '\\"') + '"' if verb == "q" else show(value)
    text = text[: int(precision[1:])] if precision else text
    return text.ljust(int(width or 0)) if "-" in flags else text.rjust(int(width or 0))


BUILTINS: Functions = {
    "len": lambda value: len(value),
    "index": _index,
    "slice": _slice,
    "print": _print,
    "println": _println,
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
