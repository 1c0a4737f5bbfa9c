"""The part of Go's text/template that people use with Docker's --format.

Fields (`.Spec.Name`), pipelines, `range`, `if`/`else`, `with`, literals, and the functions json, join, split, lower,
upper, title, len, index, print, println, eq, ne, not, and, or.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

Scope = Any
"""What `.` stands for: parsed JSON."""

_TOKEN = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_WORD = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|`[^`]*`|\(|\)|\||-?\d+|[.$\w]+)""")


class TemplateError(click.ClickException):
    def __init__(self, message: str) -> None:
        super().__init__(f"template parsing error: {message}")


class Template:
    """A parsed template. Raises TemplateError if it is malformed, or names a field that is not there."""

    def __init__(self, text: str) -> None:
        pieces = iter(_pieces(text))
        self._nodes = _block(pieces)[0]

    def render(self, value: Scope) -> str:
        return "".join(node(value) for node in self._nodes)


_Node = Callable[[Scope], str]
_Expression = Callable[[Scope], Any]


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """(is an action, its text or the literal text), with `{{-` and `-}}` trimming what stands beside them."""
    position = 0
    trim_next = False
    for match in _TOKEN.finditer(text):
        literal = text[position : match.start()]
        literal = literal.lstrip() if trim_next else literal
        yield False, literal.rstrip() if match[0].startswith("{{-") else literal
        trim_next = match[0].endswith("-}}")
        yield True, match[1]
        position = match.end()
    rest = text[position:]
    if "{{" in rest:
        raise TemplateError("unclosed action")
    yield False, rest.lstrip() if trim_next else rest


def _block(pieces: Iterator[tuple[bool, str]], *ends: str) -> tuple[list[_Node], str]:
    """Nodes up to one of `ends`, and which it was."""
    nodes: list[_Node] = []
    for is_action, text in pieces:
        if not is_action:
            nodes.append(_literal(text))
            continue
        keyword, _, rest = text.partition(" ")
        if keyword in ends:
            return nodes, text
        if keyword in ("range", "if", "with"):
            nodes.append(_control(keyword, _expression(rest), pieces))
        elif keyword in ("end", "else"):
            raise TemplateError(f"unexpected {{{{{keyword}}}}}")
        elif not text.startswith("/*"):
            nodes.append(_output(_expression(text)))
    if ends:
        raise TemplateError("unexpected EOF: {{end}} is missing")
    return nodes, ""


def _literal(text: str) -> _Node:
    return lambda scope: text


def _output(expression: _Expression) -> _Node:
    return lambda scope: show(expression(scope))


def _control(keyword: str, expression: _Expression, pieces: Iterator[tuple[bool, str]]) -> _Node:
    body, end = _block(pieces, "end", "else")
    otherwise = _block(pieces, "end")[0] if end.startswith("else") else []

    def render(scope: Scope) -> str:
        value = expression(scope)
        if not value:
            return "".join(node(scope) for node in otherwise)
        if keyword == "if":
            scopes: Sequence[Scope] = [scope]
        elif keyword == "with":
            scopes = [value]
        else:
            scopes = list(value.values()) if isinstance(value, dict) else list(value)
        return "".join(node(inner) for inner in scopes for node in body)

    return render


def _expression(text: str) -> _Expression:
    words: list[str] = []
    position = 0
    while position < len(text.rstrip()):
        match = _WORD.match(text, position)
        if match is None:
            raise TemplateError(f"unexpected {text[position:].strip()[:1]!r} in {text!r}")
        words.append(match[1])
        position = match.end()
    expression, rest = _pipeline(words)
    if rest:
        raise TemplateError(f"unexpected {rest[0]!r} in {text!r}")
    return expression


def _pipeline(words: list[str]) -> tuple[_Expression, list[str]]:
    expression, words = _call(words, None)
    while words and words[0] == "|":
        expression, words = _call(words[1:], expression)
    return expression, words


def _call(words: list[str], piped: _Expression | None) -> tuple[_Expression, list[str]]:
    operands: list[_Expression] = []
    function: Callable[..., Any] | None = None
    while words and words[0] not in ("|", ")"):
        word, words = words[0], words[1:]
        if word == "(":
            inner, words = _pipeline(words)
            if not words:
                raise TemplateError("unclosed left paren")
            operands.append(inner)
            words = words[1:]
        elif function is None and not operands and word in FUNCTIONS:
            function = FUNCTIONS[word]
        else:
            operands.append(_operand(word))
    if piped is not None:
        operands.append(piped)
    if function is None:
        if len(operands) != 1:
            raise TemplateError("missing value for command")
        return operands[0], words
    chosen = function
    return lambda scope: chosen(*(operand(scope) for operand in operands)), words


def _operand(word: str) -> _Expression:
    if word.startswith('"'):
        text = json.loads(word)
        return lambda scope: text
    if word.startswith("`"):
        return lambda scope: word[1:-1]
    if word.lstrip("-").isdigit():
        number = int(word)
        return lambda scope: number
    if word in ("true", "false"):
        return lambda scope: word == "true"
    if word.startswith("."):
        path = [part for part in word.split(".") if part]
        return lambda scope: _field(scope, path)
    raise TemplateError(f'function "{word}" not defined')


def _field(value: Any, path: list[str]) -> Any:
    for name in path:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise TemplateError(f"can't evaluate field {name}: it is no object")
        value = value.get(name)
    return value


def show(value: Any) -> str:
    """As Go prints a value."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{show(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(show(item) for item in value) + "]"
    return str(value)


def to_json(value: Any) -> str:
    """As Go's encoder writes it: no spaces, and the characters of HTML escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, list):
            if not 0 <= key < len(value):
                raise TemplateError(f"error calling index: {key} is out of range")
            value = value[key]
        else:
            value = (value or {}).get(key)
    return value


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": to_json,
    "join": lambda items, separator: separator.join(map(show, items or [])),
    "split": lambda text, separator: text.split(separator),
    "lower": lambda text: show(text).lower(),
    "upper": lambda text: show(text).upper(),
    "title": lambda text: show(text).title(),
    "len": lambda value: len(value or ()),
    "index": _index,
    "print": lambda *values: "".join(map(show, values)),
    "println": lambda *values: " ".join(map(show, values)) + "\n",
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, second: first != second,
    "not": lambda value: not value,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}
