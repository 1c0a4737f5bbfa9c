"""Tasks as `service ps` and `node ps` list them."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pyswarm.cli.client import Client, path_to
from pyswarm.cli.errors import ApiError
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import listing_flags, no_resolve_option, no_trunc_option
from pyswarm.cli.output import Listing, print_listing
from pyswarm.cli.template import Row
from pyswarm.cli.words import capitalised, duration_in_words, ellipsis, familiar, natural, seconds_of, short_id

F = TypeVar("F", bound=Callable[..., Any])

_ERROR_LENGTH = 30
LISTING = Listing(
    headings={
        "ID": "ID",
        "Name": "NAME",
        "Image": "IMAGE",
        "Node": "NODE",
        "DesiredState": "DESIRED STATE",
        "CurrentState": "CURRENT STATE",
        "Error": "ERROR",
        "Ports": "PORTS",
    },
    raw={
        "id": "ID",
        "name": "Name",
        "image": "Image",
        "node": "Node",
        "desired_state": "DesiredState",
        "current_state": "CurrentState",
        "error": "Error",
        "ports": "Ports",
    },
)


class Names:
    """Looks up the names behind ids, each once; an object that is gone keeps its id."""

    def __init__(self, client: Client, resolve: bool = True) -> None:
        self._client = client
        self._resolve = resolve
        self._known: dict[str, str] = {}

    def node(self, node_id: str) -> str:
        return self._name("/nodes", node_id, lambda node: node["Spec"].get("Name") or node["Description"]["Hostname"])

    def service(self, service_id: str) -> str:
        return self._name("/services", service_id, lambda service: service["Spec"]["Name"])

    def _name(self, collection: str, identifier: str, name_of: Callable[[Json], object]) -> str:
        if not self._resolve or not identifier:
            return identifier
        if identifier not in self._known:
            try:
                self._known[identifier] = str(name_of(self._client.get(path_to(collection, identifier))))
            except (ApiError, KeyError):
                self._known[identifier] = identifier
        return self._known[identifier]


def task_flags(command: F) -> F:
    """Of both `ps`. `print_tasks` takes what they are given, but for the filters."""
    return listing_flags(no_trunc_option(no_resolve_option(command)))


def print_tasks(
    client: Client, tasks: Sequence[Json], template: str, quiet: bool, no_trunc: bool, no_resolve: bool
) -> None:
    names = Names(client, not no_resolve)
    nodes = {task.get("NodeID", ""): names.node(task.get("NodeID", "")) for task in tasks}
    named = [(task_name(task, names.service(task["ServiceID"])), task) for task in tasks]
    rows = task_rows(named, nodes, time.time(), LISTING.is_table(template, quiet), no_trunc)
    print_listing(LISTING, rows, template, quiet)


def task_name(task: Json, service: str) -> str:
    """`web.1`, or `web.<node id>` for a global service."""
    return f"{service}.{task.get('Slot') or task.get('NodeID', '')}"


def task_rows(
    named: Sequence[tuple[str, Json]], nodes: dict[str, str], now: float, indent: bool, whole: bool
) -> list[Row]:
    """By name, the newest of a slot first; the others are its history, marked if `indent`. `now` is in seconds."""
    rows: list[Row] = []
    before = None
    for name, task in sorted(named, key=lambda pair: (natural(pair[0]), -seconds_of(pair[1]["CreatedAt"]))):
        mark = " \\_ " if indent and name == before else ""
        before = name
        rows.append(_row(task, mark + name, nodes.get(task.get("NodeID", ""), ""), now, whole))
    return rows


def _row(task: Json, name: str, node: str, now: float, whole: bool) -> Row:
    status = task["Status"]
    error = status.get("Err", "")
    shown = error if whole else ellipsis(error, _ERROR_LENGTH)
    image = task["Spec"]["ContainerSpec"]["Image"]
    ports = (status.get("PortStatus") or {}).get("Ports") or []
    age = duration_in_words(now - seconds_of(status["Timestamp"])).lower()
    return Row(
        ID=task["ID"] if whole else short_id(task["ID"]),
        Name=name,
        Image=image if whole else familiar(image),
        Node=node,
        DesiredState=capitalised(task["DesiredState"]),
        CurrentState=f"{capitalised(status['State'])} {age} ago",
        Error=f'"{shown}"' if shown else "",
        Ports=",".join(f"*:{p.get('PublishedPort', 0)}->{p['TargetPort']}/{p['Protocol']}" for p in ports),
    )
