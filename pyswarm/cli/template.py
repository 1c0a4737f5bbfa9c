"""Docker's --format: Go's templates with Docker's functions, over the parsed JSON of the API."""

import json
import re
from collections.abc import Mapping

from core.gotemplate import BUILTINS, Functions, NoValue, Printed, TemplateError, Value, show
from core.gotemplate import Template as GoTemplate
from core.units import format_duration
from pyswarm.cli.words import go_time

__all__ = ["Duration", "Moment", "NoValue", "Row", "Template", "TemplateError", "Value", "show", "to_json"]


class Duration(Printed, int):
    """Nanoseconds, printed as `10s`."""

    def printed(self) -> str:
        return format_duration(self)


class Moment(Printed, str):
    """A time of the API, printed as `2026-11-21 07:06:20 +0000 UTC`."""

    def printed(self) -> str:
        return go_time(self)


class Row(dict[str, Value]):
    """A line of a listing: Go escapes what HTML would read when it encodes one."""


class Template(GoTemplate):
    """Raises TemplateError if it is malformed."""

    def __init__(self, text: str) -> None:
        super().__init__(text, FUNCTIONS)
        self._headings = GoTemplate(text, _ON_HEADINGS)

    def heading(self, names: Mapping[str, str]) -> str:
        """The template with the names of the columns in place of their values."""
        return self._headings.render(names, lambda parent, value, name: value.get(name, NoValue()))


def to_json(value: Value) -> str:
    """As Go encodes it: without blanks."""
    if isinstance(value, NoValue):
        return "null"
    if not isinstance(value, Row):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _join(items: Value, separator: str) -> str:
    return separator.join(map(show, items.values() if isinstance(items, dict) else items or ()))


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _title(text: str) -> str:
    return re.sub(r"\b\w", lambda match: match[0].upper(), text)


FUNCTIONS: Functions = {
    **BUILTINS,
    "json": to_json,
    "join": _join,
    "split": lambda text, separator: text.split(separator),
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "title": _title,
    "pad": _pad,
    "truncate": lambda text, length: text[:length],
}

_ON_HEADINGS: Functions = {
    **FUNCTIONS,
    **dict.fromkeys(("json", "split", "join", "title", "lower", "upper", "truncate"), lambda name, *rest: name),
}
"""Those that would change a column's heading leave it as it is."""
