"""`service logs`: the API's frames, told apart by task."""

import time
from collections.abc import Iterator

import click

from core.errors import InvalidArgument
from core.units import parse_duration
from pyswarm.cli.client import ApiError, Client
from pyswarm.cli.tasks import Names, task_name

_HEADER = 8
_STDERR = 2


@click.command("logs", help="Fetch the logs of a service or task.")
@click.argument("target", metavar="SERVICE|TASK")
@click.option("-f", "--follow", is_flag=True, help="Follow log output.")
@click.option("-n", "--tail", default="all", show_default=True, help="Lines to show from the end.")
@click.option("--since", default="", help="Show logs since a time (2013-01-02T13:23:37Z) or for a while (42m).")
@click.option("-t", "--timestamps", is_flag=True, help="Show timestamps.")
@click.option("--raw", is_flag=True, help="Do not put the task's name before each line.")
@click.option("--no-trunc", is_flag=True, help="Don't truncate ids.")
@click.option("--no-resolve", is_flag=True, help="Do not map ids to names.")
@click.option("--no-task-ids", is_flag=True, help="Do not include task ids.")
@click.pass_obj
def logs(
    client: Client,
    target: str,
    follow: bool,
    tail: str,
    since: str,
    timestamps: bool,
    raw: bool,
    no_trunc: bool,
    no_resolve: bool,
    no_task_ids: bool,
) -> None:
    query = {
        "stdout": True,
        "stderr": True,
        "follow": follow,
        "tail": tail,
        "since": _since(since),
        "timestamps": timestamps,
        "details": True,
    }
    prefix = _Prefix(client, not no_resolve, no_trunc, no_task_ids)
    for is_stderr, line in _frames(client.stream(f"/{_collection(client, target)}/{target}/logs", query)):
        time_stamp, rest = line.split(b" ", 1) if timestamps and b" " in line else (b"", line)
        details, _, text = rest.partition(b" ")
        shown = text if raw else prefix.of(details.decode(errors="replace")).encode() + text
        click.echo(time_stamp + b" " + shown if time_stamp else shown, nl=False, err=is_stderr)


def _collection(client: Client, target: str) -> str:
    try:
        client.get(f"/services/{target}")
    except ApiError as error:
        if error.status != 404:
            raise
        try:
            client.get(f"/tasks/{target}")
        except ApiError as task_error:
            if task_error.status == 404:
                raise click.ClickException(f"no such task or service: {target}") from None
            raise
        return "tasks"
    return "services"


def _since(text: str) -> str:
    """Seconds since the epoch; a duration counts back from now."""
    if not text:
        return ""
    try:
        return f"{time.time() - parse_duration(text) / 1e9:.9f}"
    except InvalidArgument:
        pass
    if text.replace(".", "", 1).isdigit():
        return text
    from pyswarm.cli.output import parse_time

    moment = parse_time(text).timestamp()
    if moment == 0:
        raise click.BadParameter(f"invalid time {text!r} for --since: write it like 2013-01-02T13:23:37Z or 42m")
    return f"{moment:.9f}"


def _frames(chunks: Iterator[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Docker's multiplexed stream: [1 or 2, 0, 0, 0, length (big endian, 4 bytes)] and that many bytes."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= _HEADER:
            end = _HEADER + int.from_bytes(buffer[4:_HEADER], "big")
            if len(buffer) < end:
                break
            yield buffer[0] == _STDERR, bytes(buffer[_HEADER:end])
            del buffer[:end]


class _Prefix:
    """`web.1.abc123@node1    | ` from a frame's details, aligned to the longest so far."""

    def __init__(self, client: Client, resolve: bool, no_trunc: bool, no_task_ids: bool) -> None:
        self._client = client
        self._names = Names(client, resolve)
        self._no_trunc = no_trunc
        self._no_task_ids = no_task_ids
        self._known: dict[str, str] = {}
        self._width = 0

    def of(self, details: str) -> str:
        if details not in self._known:
            self._known[details] = self._format(dict(pair.partition("=")[::2] for pair in details.split(",")))
            self._width = max(self._width, len(self._known[details]))
        return self._known[details].ljust(self._width) + "    | "

    def _format(self, details: dict[str, str]) -> str:
        task_id = details.get("com.docker.swarm.task.id", "")
        node = self._names.node(details.get("com.docker.swarm.node.id", ""))
        try:
            name = task_name(self._client.get(f"/tasks/{task_id}"), self._names)
        except ApiError:
            name = task_id
        if not self._no_task_ids:
            name += f".{task_id if self._no_trunc else task_id[:12]}"
        return f"{name}@{node}"
