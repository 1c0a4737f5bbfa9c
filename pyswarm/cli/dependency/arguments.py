"""How a secret or config, and its data, are given. Data comes from a file or standard input: arguments are for all to
see."""

import base64
import sys
from collections.abc import Callable
from typing import Any

import click

from pyswarm.cli.completion import complete_configs, complete_secrets

STDIN = "-"
_MOST = 1000 << 10
"""Bytes that are read: of more, the daemon says that it is too much."""
_COMPLETE = {"secret": complete_secrets, "config": complete_configs}


def one(noun: str) -> Callable[[Any], Any]:
    return click.argument("name", metavar=noun.upper(), shell_complete=_COMPLETE[noun])


def several(noun: str) -> Callable[[Any], Any]:
    metavar = f"{noun.upper()} [{noun.upper()}...]"
    return click.argument("references", metavar=metavar, nargs=-1, required=True, shell_complete=_COMPLETE[noun])


def read_data(file: str) -> str:
    """As the API takes it. Raises click.ClickException."""
    try:
        if file == STDIN:
            data = sys.stdin.buffer.read(_MOST)
        else:
            with open(file, "rb") as opened:
                data = opened.read(_MOST)
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror or error}") from None
    return base64.b64encode(data).decode()
