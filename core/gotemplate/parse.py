"""Templates: parsed once into functions, rendered many times."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from core.gotemplate import values
from core.gotemplate.budget import Budget
from core.gotemplate.errors import TemplateError
from core.gotemplate.functions import BUILTINS, Functions, call
from core.gotemplate.lexer import pieces, words
from core.gotemplate.values import Lookup, Value, kind, show


@dataclass
class Scope:
    """What names mean at one place: `.`, the variables, and how fields are found; and what may still be spent."""

    dot: Value
    lookup: Lookup
    budget: Budget
    variables: dict[str, Value] = field(default_factory=dict)

    def inner(self, dot: Value, **variables: Value) -> "Scope":
        self.budget.spend(len(self.variables))
        return Scope(dot, self.lookup, self.budget, {**self.variables, **variables})


_Node = Callable[[Scope], str]
_Expression = Callable[[Scope], Value]


class Template:
    """Raises TemplateError if it is malformed, or calls a function that is none of `functions`."""

    def __init__(self, text: str, functions: Functions = BUILTINS) -> None:
        self._body = _Parser(functions).parse(text)

    def render(self, value: Value, lookup: Lookup = values.field, budget: Budget | None = None) -> str:
        """Raises TemplateError for a field that `lookup` does not find, a function's wrong arguments, and what takes
        more than `budget`, which is a new one if none is shared. No error tells a value."""
        return self._body(Scope(value, lookup, budget or Budget(), {"$": value}))


class _Parser:
    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def parse(self, text: str) -> _Node:
        return self._block(pieces(text))[0]

    def _block(self, rest: Iterator[tuple[bool, str]], *ends: str) -> tuple[_Node, str]:
        """What stands before one of `ends`, and the whole of that action."""
        nodes: list[_Node] = []
        for is_action, text in rest:
            keyword, _, clause = text.partition(" ")
            if not is_action:
                nodes.append(_literal(text))
            elif keyword in ends:
                return _all(nodes), text
            elif keyword in ("range", "if", "with"):
                nodes.append(self._control(keyword, clause, rest))
            elif keyword in ("end", "else"):
                raise TemplateError(f"unexpected {{{{{keyword}}}}}")
            else:
                nodes.append(self._action(text))
        if ends:
            raise TemplateError("unexpected EOF: {{end}} is missing")
        return _all(nodes), ""

    def _action(self, text: str) -> _Node:
        names, expression = self._assignment(text)
        if not names:
            return lambda scope: _spent(scope, show(expression(scope)))

        def assign(scope: Scope) -> str:
            scope.budget.spend()
            scope.variables[names[0]] = expression(scope)
            return ""

        return assign

    def _control(self, keyword: str, clause: str, rest: Iterator[tuple[bool, str]]) -> _Node:
        names, expression = self._assignment(clause)
        body, end = self._block(rest, "end", "else")
        otherwise = _literal("")
        if end.startswith("else"):
            follow = end.removeprefix("else").strip()
            word, _, condition = follow.partition(" ")
            otherwise = self._control(word, condition, rest) if follow else self._block(rest, "end")[0]

        def render(scope: Scope) -> str:
            value = expression(scope)
            if not value:
                return otherwise(scope.inner(scope.dot))
            if keyword == "range":
                return "".join(body(inner) for inner in _turns(scope, names, value))
            bound = dict.fromkeys(names, value)
            return body(scope.inner(value if keyword == "with" else scope.dot, **bound))

        return render

    def _assignment(self, text: str) -> tuple[list[str], _Expression]:
        """`$a, $b := pipeline` or `$a = pipeline`: the names, none if it is a plain pipeline, and the pipeline."""
        found = words(text)
        names: list[str] = []
        for sign in (":=", "="):
            if sign in found:
                names = [word for word in iter(found.popleft, sign) if word != ","]
                break
        if any(not name.startswith("$") for name in names):
            raise TemplateError(f"unexpected assignment in {text!r}")
        expression = self._pipeline(found)
        if found:
            raise TemplateError(f"unexpected {found[0]!r} in {text!r}")
        return names, expression

    def _pipeline(self, found: deque[str]) -> _Expression:
        """Takes what belongs to it from `found`."""
        expression = self._command(found, None)
        while found and found[0] == "|":
            found.popleft()
            expression = self._command(found, expression)
        return expression

    def _command(self, found: deque[str], piped: _Expression | None) -> _Expression:
        operands: list[_Expression] = []
        function = ""
        while found and found[0] != "|" and not found[0].startswith(")"):
            word = found.popleft()
            if word == "(":
                inner = self._pipeline(found)
                if not found:
                    raise TemplateError("unclosed left paren")
                operands.append(_chain(inner, found.popleft().removeprefix(")")))
            elif not function and not operands and word in self._functions:
                function = word
            else:
                operands.append(_operand(word))
        if piped is not None:
            operands.append(piped)
        if function:
            known = self._functions
            return lambda scope: call(known, function, [operand(scope) for operand in operands], scope.budget)
        if len(operands) != 1:
            raise TemplateError("missing value for command" if not operands else "can't give arguments to a value")
        return operands[0]


def _all(nodes: list[_Node]) -> _Node:
    return lambda scope: "".join(node(scope) for node in nodes)


def _literal(text: str) -> _Node:
    return lambda scope: _spent(scope, text)


def _spent(scope: Scope, text: str) -> str:
    scope.budget.spend(len(text))
    return text


def _turns(scope: Scope, names: list[str], value: Value) -> Iterator[Scope]:
    """A scope for each item of a list (with its index) or a map (with its key, in order)."""
    if not isinstance(value, list | dict):
        raise TemplateError(f"range can't iterate over {kind(value)}")
    for key, item in sorted(value.items()) if isinstance(value, dict) else enumerate(value):
        pair = (key, item) if len(names) == 2 else (item,)
        yield scope.inner(item, **dict(zip(names, pair, strict=False)))


def _operand(word: str) -> _Expression:
    constants: dict[str, Value] = {"true": True, "false": False, "nil": None}
    if word in constants:
        return lambda scope: constants[word]
    if word.startswith(("'", '"', "`")):
        text = word[1:-1] if word.startswith("`") else _unquoted(word)
        return lambda scope: text
    if word.lstrip("-")[:1].isdigit():
        number = _number(word)
        return lambda scope: number
    if word.startswith("."):
        return _chain(lambda scope: scope.dot, word)
    name, dot, path = word.partition(".")
    if name.startswith("$"):
        return _chain(lambda scope: _variable(scope, name), dot + path)
    raise TemplateError(f'function "{word}" not defined')


def _number(word: str) -> int | float:
    try:
        return float(word) if "." in word else int(word)
    except ValueError:
        raise TemplateError("a number has too many digits") from None


def _unquoted(word: str) -> str:
    """Raises TemplateError also for half of a surrogate pair, which no text may hold."""
    try:
        return str(json.loads(word, strict=False)).encode().decode()
    except ValueError:
        raise TemplateError(f"unreadable string {word}") from None


def _variable(scope: Scope, name: str) -> Value:
    if name not in scope.variables:
        raise TemplateError(f'undefined variable "{name}"')
    return scope.variables[name]


def _chain(expression: _Expression, chain: str) -> _Expression:
    """`expression` followed by `.Field.Field`."""
    path = [name for name in chain.split(".") if name]

    def follow(scope: Scope) -> Value:
        value, parent = expression(scope), ""
        for name in path:
            if not isinstance(value, Mapping):
                raise TemplateError(f"can't evaluate field {name}: {parent or 'the value'} is {kind(value)}")
            value, parent = scope.lookup(parent, value, name), name
        return value

    return follow
