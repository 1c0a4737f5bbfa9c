"""A template's text as literals and actions, and an action's as words."""

import re
from collections.abc import Iterator

from core.gotemplate.errors import TemplateError

_ACTION = re.compile(r"\{\{(- )?\s*(/\*.*?\*/|(?:\"(?:[^\"\\]|\\.)*\"|`[^`]*`|[^\"`])*?)\s*( -)?\}\}", re.DOTALL)
_WORD = re.compile(
    r"""\s*(?P<word>"(?:[^"\\]|\\.)*"|`[^`]*`|:=|=|,|\(|\)(?:\.\w+)*|\||-?\d+(?:\.\d+)?|\$?\w*(?:\.\w+)+|\$\w*|\.|\w+)"""
)


def pieces(text: str) -> Iterator[tuple[bool, str]]:
    """(is an action, its text), with `{{- ` and ` -}}` trimming what stands beside them and comments left out."""
    position, trim = 0, False
    for match in _ACTION.finditer(text):
        literal = text[position : match.start()]
        literal = literal.lstrip() if trim else literal
        yield False, literal.rstrip() if match[1] else literal
        trim = bool(match[3])
        if not match[2].startswith("/*"):
            yield True, match[2]
        position = match.end()
    rest = text[position:]
    if "{{" in rest:
        raise TemplateError("unclosed action")
    yield False, rest.lstrip() if trim else rest


def words(text: str) -> list[str]:
    """Raises TemplateError for a character that has no meaning."""
    found: list[str] = []
    position = 0
    while text[position:].strip():
        match = _WORD.match(text, position)
        if match is None:
            raise TemplateError(f"unexpected {text[position:].strip()[:1]!r} in {text!r}")
        found.append(match["word"])
        position = match.end()
    return found
