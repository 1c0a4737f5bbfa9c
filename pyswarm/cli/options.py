"""The kinds of flag: what their text means, and what to write where it means nothing."""

import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import click

from core.errors import InvalidArgument
from core.units import parse_cpus, parse_duration, parse_size
from pyswarm.cli.arguments import truth
from pyswarm.cli.files import read_text
from pyswarm.cli.mounts import parse_mount
from pyswarm.cli.ports import parse_publish

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_MOST = 2**64 - 1


def refuse(reason: str, value: str, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
    """Raises click.BadParameter in Docker's words."""
    if not isinstance(param, click.Option):
        raise click.BadParameter(reason, ctx, param)
    names = ", ".join(sorted(param.opts, key=len))
    raise click.BadParameter(f'invalid argument "{value}" for "{names}" flag: {reason}', ctx, param)


class Parsed(click.ParamType[T], Generic[T]):
    """A flag's type from a function that raises InvalidArgument."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except InvalidArgument as error:
            refuse(error.message, value, param, ctx)


class Switch(click.Option):
    """A flag that `--NAME=false` puts out where it is on: nothing is changed only if it is not given at all."""

    def __init__(self, declarations: Sequence[str], **attributes: Any) -> None:
        *short, name = declarations
        off = f"--no-{name.removeprefix('--')}"
        super().__init__([*short, f"{name}/{off}"], default=None, **attributes)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return record and (", ".join(sorted(self.opts, key=len)), record[1])


class Choice(click.Choice[str]):
    """Docker's command takes any word and refuses it later: the exit code is another than that of a bad flag."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in self.choices:
            return value
        reason = f"{value}: write {' or '.join(map(str, self.choices))}"
        if isinstance(param, click.Option):
            raise click.ClickException(f"unknown {param.opts[0].removeprefix('--')} {reason}")
        raise click.BadParameter(f"unknown {param.name if param is not None else 'value'} {reason}", ctx, param)


def parse_ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1
    if not 0 <= ratio <= 1:
        raise InvalidArgument(f"invalid ratio {text!r}: write a number from 0 to 1, like 0.25")
    return ratio


def parse_count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > _MOST:
        raise InvalidArgument(f"invalid number {text!r}: write it like 3")
    return int(text)


def parse_number(text: str) -> int:
    """As `parse_count`, or below zero."""
    return -parse_count(text[1:]) if text.startswith("-") else parse_count(text)


def parse_swap(text: str) -> int:
    """A size, or -1 for no limit."""
    return -1 if text.strip() == "-1" else parse_size(text)


def parse_command(text: str) -> list[str]:
    """Words as the shell tells them apart."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidArgument(f"invalid command {text!r}: {str(error).lower()}; close every quote") from None


def parse_label(text: str) -> str:
    if not text.partition("=")[0].strip():
        raise InvalidArgument(f"invalid label {text!r}: empty name; write it like key=value")
    return text


def parse_env(text: str) -> str:
    """`KEY=VALUE`, or `KEY`: then it has the command's own value, if there is one."""
    name, separator, _ = text.partition("=")
    if not name:
        raise InvalidArgument(f"invalid environment variable {text!r}: write it like KEY=VALUE")
    return text if separator or name not in os.environ else f"{name}={os.environ[name]}"


def parse_env_file(text: str) -> list[str]:
    """The variables of a file: a line each; those without a value have the command's own, if there is one."""
    lines = read_text(Path(text)).splitlines()
    variables = [parse_env(line.lstrip()) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return [variable for variable in variables if "=" in variable]


def parse_filter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise InvalidArgument("bad format of filter (expected name=value)")
    return name.strip().lower(), value.strip()


def parse_truth(text: str) -> bool:
    return truth(text, "for a flag that is on or off")


DURATION = Parsed("duration", parse_duration)
SIZE = Parsed("bytes", parse_size)
SWAP = Parsed("bytes", parse_swap)
CPUS = Parsed("decimal", parse_cpus)
COUNT = Parsed("uint", parse_count)
RATIO = Parsed("ratio", parse_ratio)
NUMBER = Parsed("int", parse_number)
COMMAND = Parsed("command", parse_command)
LABEL = Parsed("label", parse_label)
ENV = Parsed("env", parse_env)
ENV_FILE = Parsed("file", parse_env_file)
FILTER = Parsed("filter", parse_filter)
TRUTH = Parsed("true|false", parse_truth)
PUBLISH = Parsed("port", parse_publish)
MOUNT = Parsed("mount", parse_mount)

format_option = click.option("--format", "template", default="", help="'table', 'json', 'raw' or a Go template.")
inspect_format_option = click.option("-f", "--format", "template", default="", help="'json' or a Go template.")
pretty_option = click.option("--pretty", is_flag=True, help="Print the information in a human friendly format.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Only display ids.")
no_trunc_option = click.option("--no-trunc", is_flag=True, help="Do not truncate output.")
no_resolve_option = click.option("--no-resolve", is_flag=True, help="Do not map ids to names.")
filter_option = click.option(
    "-f", "--filter", "filters", type=FILTER, multiple=True, help="Filter the output, like name=web; repeatable."
)


def listing_flags(command: F) -> F:
    """Of every command that lists things."""
    return filter_option(format_option(quiet_option(command)))


def filters_of(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, bool]]:
    """As the API takes them."""
    filters: dict[str, dict[str, bool]] = {}
    for name, value in pairs:
        filters.setdefault(name, {})[value] = True
    return filters


def mapping(pairs: Sequence[str]) -> dict[str, str]:
    """`a=b` and `a` (which is `a=`), later ones winning."""
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
