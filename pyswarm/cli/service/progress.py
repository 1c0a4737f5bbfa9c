"""Waiting for a service to converge: Docker's bars on a terminal, plain lines otherwise."""

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import click

from pyswarm.cli.client import Client, path_to
from pyswarm.cli.errors import UNAVAILABLE, ApiError
from pyswarm.cli.json_types import Json
from pyswarm.cli.service.convergence import Convergence
from pyswarm.cli.service.job import JobProgress
from pyswarm.cli.service.report import Line, Report

_POLL_SECONDS = 0.2
_LEADERLESS_SECONDS = 30.0
_BAR = 50
_UP, _CLEAR_DOWN = "\x1b[{}A", "\x1b[J"


class Display(Protocol):
    def text_of(self, lines: Sequence[Line]) -> str:
        """What to write now that `lines` are the latest."""
        ...


class Silent:
    def text_of(self, lines: Sequence[Line]) -> str:
        return ""


class PlainLines:
    """For logs and pipes: every line when it changes, without the bars."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def text_of(self, lines: Sequence[Line]) -> str:
        changed = [line for line in lines if line.progress is None and self._last.get(line.label) != line.text]
        self._last.update({line.label: line.text for line in lines})
        return "".join(f"{_text(line)}\n" for line in changed)


class Bars:
    """For a terminal `width` wide: drawn over itself."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._drawn: dict[str, str] = {}

    def text_of(self, lines: Sequence[Line]) -> str:
        rewind = _UP.format(len(self._drawn)) if self._drawn else ""
        drawn = {line.label: self._draw(line) for line in lines}
        if drawn == self._drawn:
            return ""
        self._drawn = drawn
        return rewind + _CLEAR_DOWN + "".join(f"{text}\n" for text in drawn.values())

    def _draw(self, line: Line) -> str:
        text = _text(line)
        if line.progress is not None:
            filled = _BAR * line.progress // line.total if line.total else _BAR
            bar = f"[{'=' * filled}>{' ' * (_BAR - filled)}]"
            text = f"{text} {bar}" if len(text) + len(bar) < self._width else text
        return text[: self._width - 1]


def _text(line: Line) -> str:
    return f"{line.label}: {line.text}" if line.label else line.text


class Wait(Protocol):
    """A Convergence, a JobProgress, or another of their kind."""

    @property
    def converged(self) -> bool: ...

    def look(self, service: Json, tasks: Sequence[Json], nodes: Sequence[Json], now: float) -> Report: ...


def wait_until_converged(client: Client, reference: str, quiet: bool = False) -> None:
    """Returns when every task of the current spec runs and is stable, or when a job is done. An interrupt ends the
    waiting alone.

    Raises click.ClickException if the update is paused, or the job has failed.
    """
    wait_until_done(
        client, reference, lambda service: JobProgress() if "JobStatus" in service else Convergence(reference), quiet
    )


def wait_until_done(client: Client, reference: str, begin: Callable[[Json], Wait], quiet: bool = False) -> None:
    """As `wait_until_converged`, for the wait that `begin` makes for the service as it is at first."""
    display = _display(quiet)
    wait: Wait | None = None
    try:
        while True:
            service, tasks, nodes = _ask(client, reference)
            wait = wait or begin(service)
            report = wait.look(service, tasks, nodes, time.monotonic())
            click.echo(display.text_of(report.lines), nl=False)
            if report.error:
                raise click.ClickException(report.error)
            if report.done:
                return
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        if not (quiet or (wait is not None and wait.converged)):
            click.echo("Operation continuing in background.")
            click.echo(f"Use `pyswarm service ps {reference}` to check progress.")


def _ask(client: Client, reference: str) -> tuple[Json, Sequence[Json], Sequence[Json]]:
    """The service, its tasks of the current spec, and the nodes. Asks again if there is no leader to answer: the
    cluster chooses one while the user waits."""
    patience = time.monotonic() + _LEADERLESS_SECONDS
    while True:
        try:
            service = client.get(path_to("/services", reference), {"insertDefaults": False})
            filters = {"service": {service["ID"]: True}, "_up-to-date": {"true": True}}
            return service, client.get("/tasks", {"filters": filters}), client.get("/nodes")
        except ApiError as error:
            if error.status != UNAVAILABLE or time.monotonic() > patience:
                raise
        time.sleep(_POLL_SECONDS)


def _display(quiet: bool) -> Display:
    if quiet:
        return Silent()
    return Bars(shutil.get_terminal_size().columns) if sys.stdout.isatty() else PlainLines()
