"""The kinds of command that all of pyswarm's are made of: flags read as Docker reads them, modules loaded on use."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from core.errors import InvalidArgument
from pyswarm.cli.arguments import settle_switches
from pyswarm.cli.errors import ApiError
from pyswarm.cli.usage import TooManyArguments, UnknownCommand

Lazy = Mapping[str, tuple[str, str, str]]
"""Name -> module, attribute, one line of help."""

_ALIASES = {"list": "ls", "remove": "rm"}


class Command(click.Command):
    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        if not any(isinstance(param, click.Option) for param in self.params):
            self.options_metavar = None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = [param for param in self.params if isinstance(param, click.Option)]
        switches = {
            name: next(iter(option.secondary_opts), "") for option in options if option.is_flag for name in option.opts
        }
        valued = {name for option in options if not option.is_flag for name in option.opts}
        ctx.allow_extra_args = True
        try:
            settled = settle_switches(args, switches, valued, ctx.allow_interspersed_args)
        except InvalidArgument as error:
            raise click.BadParameter(error.message, ctx, options[0]) from None
        with _told_apart(ctx):
            rest = super().parse_args(ctx, settled)
        if ctx.args and not ctx.resilient_parsing:
            raise TooManyArguments("", ctx)
        return rest


class Group(click.Group):
    """Commands that are imported when they are used; alone it prints its help."""

    def __init__(self, name: str, commands: Lazy, **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self._lazy = commands

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        with _told_apart(ctx):
            return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name if cmd_name in self._lazy else _ALIASES.get(cmd_name, cmd_name)
        if name not in self._lazy:
            return None
        module, attribute, _ = self._lazy[name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        command = self.get_command(ctx, args[0])
        if command is None and not ctx.resilient_parsing:
            if args[0].startswith("-"):
                raise click.NoSuchOption(args[0], ctx=ctx)
            raise UnknownCommand(args[0], ctx)
        return args[0] if command else None, command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in self._lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [CompletionItem(name, help=text) for name, (_, _, text) in self._lazy.items()]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [item for item in commands if item.value.startswith(incomplete)] + options


@contextmanager
def _told_apart(ctx: click.Context) -> Iterator[None]:
    """Says of a flag without its value which command it was given to."""
    try:
        yield
    except click.BadOptionUsage as error:
        error.ctx = ctx
        raise


def command(name: str, help: str, **attributes: Any) -> Callable[[Callable[..., Any]], Command]:
    return click.command(name, cls=Command, help=help, **attributes)


def for_each(things: Sequence[str], act: Callable[[str], None]) -> list[str]:
    """Does `act` for every one, going on after an error. Returns what there is to say of the errors."""
    errors: list[str] = []
    for thing in things:
        try:
            act(thing)
        except (ApiError, click.ClickException) as error:
            errors.append(error.message)
    return errors


def fail_if(errors: Sequence[str]) -> None:
    """Raises click.ClickException with all of them, if there are any."""
    if errors:
        raise click.ClickException("\n".join(errors))
