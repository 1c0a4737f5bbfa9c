"""Tasks as `service ps` and `node ps` list them."""

from collections.abc import Callable, Mapping

import click

from pyswarm.cli.client import ApiError, Client, Json
from pyswarm.cli.output import ago, ellipsis, print_rows, short_id

_ERROR_LENGTH = 30
_HEADERS = {
    "ID": "ID",
    "Name": "NAME",
    "Image": "IMAGE",
    "Node": "NODE",
    "DesiredState": "DESIRED STATE",
    "CurrentState": "CURRENT STATE",
    "Error": "ERROR",
    "Ports": "PORTS",
}


class Names:
    """Looks up the names behind ids, each once; an object that is gone keeps its id."""

    def __init__(self, client: Client, resolve: bool) -> None:
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
                self._known[identifier] = str(name_of(self._client.get(f"{collection}/{identifier}")))
            except (ApiError, KeyError):
                self._known[identifier] = identifier
        return self._known[identifier]


def print_tasks(tasks: list[Json], names: Names, no_trunc: bool, quiet: bool, template: str) -> None:
    rows: list[Mapping[str, object]] = []
    before = ""
    for task in sorted(tasks, key=_order(names)):
        name = task_name(task, names)
        history = name == before
        before = name
        rows.append(_row(task, f" \\_ {name}" if history else name, names, no_trunc))
    if quiet:
        for row in rows:
            click.echo(row["ID"])
        return
    print_rows(rows, _HEADERS, template)


def task_name(task: Json, names: Names) -> str:
    """`web.1`, or `web.<node id>` for a global service."""
    place = str(task["Slot"]) if task.get("Slot") else task.get("NodeID", "")
    return f"{names.service(task['ServiceID'])}.{place}"


def _order(names: Names) -> Callable[[Json], tuple[object, ...]]:
    def key(task: Json) -> tuple[object, ...]:
        newest_first = tuple(-ord(character) for character in task["CreatedAt"])
        return names.service(task["ServiceID"]), task.get("Slot", 0), task.get("NodeID", ""), newest_first

    return key


def _row(task: Json, name: str, names: Names, no_trunc: bool) -> dict[str, object]:
    status = task["Status"]
    error = status.get("Err", "")
    shown = error if no_trunc else ellipsis(error, _ERROR_LENGTH)
    image = task["Spec"]["ContainerSpec"]["Image"]
    ports = (status.get("PortStatus") or {}).get("Ports") or []
    return {
        "ID": short_id(task["ID"], no_trunc),
        "Name": name,
        "Image": image if no_trunc else image.partition("@")[0],
        "Node": names.node(task.get("NodeID", "")),
        "DesiredState": task["DesiredState"].capitalize(),
        "CurrentState": f"{status['State'].capitalize()} {ago(status['Timestamp']).lower()}",
        "Error": f'"{shown}"' if shown else "",
        "Ports": ", ".join(f"*:{p.get('PublishedPort', 0)}->{p['TargetPort']}/{p['Protocol']}" for p in ports),
    }
