"""A template's text as literals and actions, and an action's as words. Both read it once, from its start to its end."""

import re
from collections import deque
from collections.abc import Iterator

from core.gotemplate.errors import TemplateError

_WORD = re.compile(
    r"""\s*(?P<word>"(?:[^"\\]|\\.)*"|`[^`]*`|:=|=|,|\(|\)(?:\.\w+)*|\||-?\d+(?:\.\d+)?|\$?\w*(?:\.\w+)+|\$\w*|\.|\w+)"""
)


def pieces(text: str) -> Iterator[tuple[bool, str]]:
    """(is an action, its text), with `{{- ` and ` -}}` trimming what stands beside them and comments left out.

    Raises TemplateError for an action that does not end.
    """
    position, trim = 0, False
    while (opening := text.find("{{", position)) >= 0:
        literal = text[position:opening]
        literal = literal.lstrip() if trim else literal
        start = opening + len("{{")
        trim_before = text.startswith("- ", start)
        yield False, literal.rstrip() if trim_before else literal
        start += len("- ") if trim_before else 0
        end = _end(text, start)
        inside = text[start:end]
        trim = inside.endswith(" -")
        action = inside.removesuffix(" -").strip()
        if not action.startswith("/*"):
            yield True, action
        position = end + len("}}")
    rest = text[position:]
    yield False, rest.lstrip() if trim else rest


def words(text: str) -> deque[str]:
    """Raises TemplateError for a character that has no meaning."""
    found: deque[str] = deque()
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _WORD.match(text, position)
        if match is None:
            raise TemplateError(f"unexpected {text[position:].strip()[:1]!r} in {text!r}")
        found.append(match["word"])
        position = match.end()
    return found


def _end(text: str, position: int) -> int:
    """Where the `}}` stands of the action whose inside begins at `position`."""
    while text[position : position + 1].isspace():
        position += 1
    if text.startswith("/*", position):
        return _comment_end(text, position)
    while position < len(text):
        if text.startswith("}}", position):
            return position
        character = text[position]
        if character == '"':
            position = _string_end(text, position)
        elif character == "`":
            position = _find(text, "`", position + 1) + 1
        else:
            position += 1
    raise TemplateError("unclosed action")


def _comment_end(text: str, position: int) -> int:
    after = _find(text, "*/", position + len("/*")) + len("*/")
    end = _find(text, "}}", after)
    if text[after:end].strip() not in ("", "-"):
        raise TemplateError("comment ends before closing delimiter")
    return end


def _string_end(text: str, position: int) -> int:
    """Behind the string that begins at `position`."""
    position += 1
    while position < len(text):
        character = text[position]
        if character == '"':
            return position + 1
        position += 2 if character == "\\" else 1
    raise TemplateError("unclosed action")


def _find(text: str, mark: str, position: int) -> int:
    found = text.find(mark, position)
    if found < 0:
        raise TemplateError("unclosed action")
    return found
