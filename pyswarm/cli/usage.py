"""What a command line that cannot be read becomes: Docker's words and exit codes, with what to write instead."""

import click

from core.words import agreeing
from pyswarm.cli import absent

FLAG_ERROR = 125
"""Docker's exit code for a flag that does not exist or cannot be read; every other error is 1."""
ERROR = 1


class TooManyArguments(click.UsageError):
    pass


class UnknownCommand(click.UsageError):
    def __init__(self, name: str, ctx: click.Context) -> None:
        whole = f"{ctx.command_path} {name}"
        known = name in absent.COMMANDS
        super().__init__(f"{whole} is not supported by pyswarm yet" if known else f"unknown command: {whole}", ctx)


def explain(error: click.ClickException) -> tuple[str, int]:
    """What to print on standard error, and the exit code."""
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return error.format_message(), ERROR
    path = error.ctx.command_path
    message, status = _reason(error, error.ctx)
    usage = " ".join([path, *error.ctx.command.collect_usage_pieces(error.ctx)])
    return f"{message}\n\nUsage:  {usage}\n\nRun '{path} --help' for more information", status


def _reason(error: click.UsageError, ctx: click.Context) -> tuple[str, int]:
    if isinstance(error, click.NoSuchOption):
        return _unknown_flag(error, ctx), FLAG_ERROR
    if isinstance(error, click.BadOptionUsage):
        return f"flag needs an argument: {error.option_name}", FLAG_ERROR
    if isinstance(error, TooManyArguments) or (
        isinstance(error, click.MissingParameter) and isinstance(error.param, click.Argument)
    ):
        return f"pyswarm: '{ctx.command_path}' {_wanted(ctx.command)}", ERROR
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{error.param.opts[0]} is required", ERROR
    if isinstance(error, click.BadParameter):
        return error.message, FLAG_ERROR if isinstance(error.param, click.Option) else ERROR
    return f"pyswarm: {error.message}" if isinstance(error, UnknownCommand) else error.message, ERROR


def _unknown_flag(error: click.NoSuchOption, ctx: click.Context) -> str:
    flag = error.option_name
    if absent_name := absent.absent_flag(ctx.command_path.partition(" ")[2], flag):
        return f"{absent_name} is not supported by pyswarm yet"
    if flag in ("-H", "--host"):
        return f"unknown flag: {flag} (it stands before the command: pyswarm {flag} unix://PATH ...)"
    message = f"unknown flag: {flag}" if flag.startswith("--") else f"unknown shorthand flag: '{flag[1:]}' in {flag}"
    return f"{message} (did you mean {error.possibilities[0]}?)" if error.possibilities else message


def _wanted(command: click.Command) -> str:
    """How many arguments `command` takes, in Docker's words."""
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    least = sum(argument.required for argument in arguments)
    if not arguments:
        return "accepts no arguments"
    if any(argument.nargs == -1 for argument in arguments):
        return f"requires at least {least} {agreeing(least, 'argument')}"
    return f"requires {least} {agreeing(least, 'argument')}"
