"""`service logs`: the API's frames, told apart by task."""

import sys
import time
from dataclasses import dataclass
from typing import Any

import click

from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import command
from pyswarm.cli.completion import complete_services
from pyswarm.cli.errors import NOT_FOUND, ApiError
from pyswarm.cli.json_types import Json
from pyswarm.cli.moments import parse_moment
from pyswarm.cli.options import no_resolve_option, no_trunc_option
from pyswarm.cli.service.log_lines import STDERR, SYSTEM, Details, Frames, LogLine, split
from pyswarm.cli.tasks import Names
from pyswarm.cli.words import short_id


@command("logs", "Fetch the logs of a service or task.")
@click.argument("target", metavar="SERVICE|TASK", shell_complete=complete_services)
@click.option("-f", "--follow", is_flag=True, help="Follow log output.")
@click.option(
    "-n", "--tail", default="all", show_default=True, help="Number of lines to show from the end of the logs."
)
@click.option("--since", default="", help="Show logs since a time (2013-01-02T13:23:37Z) or for a while (42m).")
@click.option("-t", "--timestamps", is_flag=True, help="Show timestamps.")
@click.option("--details", is_flag=True, help="Show extra details provided to logs.")
@click.option("--raw", is_flag=True, help="Do not neatly format logs.")
@no_trunc_option
@no_resolve_option
@click.option("--no-task-ids", is_flag=True, help="Do not include task ids in output.")
@click.pass_obj
def logs(client: Client, /, target: str, **given: Any) -> None:
    query = {
        "stdout": True,
        "stderr": True,
        "follow": given["follow"],
        "tail": given["tail"],
        "since": parse_moment("since", given["since"], time.time()),
        "timestamps": given["timestamps"],
        "details": given["details"] or not given["raw"],
    }
    found = _find(client, target)
    if found.tty and not given["raw"]:
        raise click.ClickException("tty service logs only supported with --raw")
    prefix = _Prefix(client, len(str(found.slots)), given)
    frames = Frames()
    for chunk in client.stream(f"{found.path}/logs", query):
        if found.tty:
            _write(chunk, is_stderr=False)
            continue
        for stream, data in frames.feed(chunk):
            if stream == SYSTEM:
                raise click.ClickException(data.decode(errors="replace").strip())
            line = data if given["raw"] else prefix.put_before(split(data, given["timestamps"]))
            _write(line, stream == STDERR)


@dataclass(frozen=True)
class _Found:
    path: str
    slots: int
    """The highest number of a slot."""
    tty: bool


def _find(client: Client, target: str) -> _Found:
    for collection in ("/services", "/tasks"):
        path = path_to(collection, target)
        try:
            found = client.get(path)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            continue
        if collection == "/tasks":
            return _Found(path, found.get("Slot", 0), _has_tty(found["Spec"]))
        replicas = (found["Spec"]["Mode"].get("Replicated") or {}).get("Replicas", 0)
        return _Found(path, replicas, _has_tty(found["Spec"]["TaskTemplate"]))
    raise click.ClickException(f"no such task or service: {target}")


def _has_tty(task_spec: Json) -> bool:
    return bool(task_spec["ContainerSpec"].get("TTY"))


def _write(line: bytes, is_stderr: bool) -> None:
    stream = sys.stderr if is_stderr else sys.stdout
    stream.buffer.write(line)
    stream.buffer.flush()


class _Prefix:
    """`web.1.abc123@node1    | ` before a line of that task; numbers of slots are padded to `width`."""

    def __init__(self, client: Client, width: int, given: dict[str, Any]) -> None:
        self._client = client
        self._names = Names(client, not given["no_resolve"])
        self._width = width
        self._given = given
        self._known: dict[str, str] = {}

    def put_before(self, line: LogLine) -> bytes:
        details = Details.of(line.details)
        if details.task_id not in self._known:
            self._known[details.task_id] = self._format(details)
        stamp = f"{line.timestamp} " if line.timestamp else ""
        extra = f"{details.rest} " if self._given["details"] else ""
        return f"{stamp}{self._known[details.task_id]}    | {extra}".encode() + line.text

    def _format(self, details: Details) -> str:
        slot = self._slot(details.task_id)
        task = f"{self._names.service(details.service_id)}.{slot}"
        if not self._given["no_task_ids"]:
            task += f".{details.task_id if self._given['no_trunc'] else short_id(details.task_id)}"
        return f"{task}@{self._names.node(details.node_id)}" + " " * (self._width - len(str(slot)))

    def _slot(self, task_id: str) -> int:
        """0 for a task of a global service, and for one that is gone."""
        try:
            return int(self._client.get(path_to("/tasks", task_id)).get("Slot", 0))
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return 0
