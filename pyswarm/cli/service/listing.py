"""`service ls` and `service ps`."""

import click

from pyswarm.cli.client import Client, Json, filters_of
from pyswarm.cli.node import resolve as resolve_node
from pyswarm.cli.output import (
    filter_option,
    format_option,
    no_trunc_option,
    print_rows,
    quiet_option,
    short_id,
)
from pyswarm.cli.tasks import Names, print_tasks

_HEADERS = {
    "ID": "ID",
    "Name": "NAME",
    "Mode": "MODE",
    "Replicas": "REPLICAS",
    "Image": "IMAGE",
    "Ports": "PORTS",
}


@click.command("ls", help="List services.")
@filter_option
@format_option
@quiet_option
@click.pass_obj
def list_services(client: Client, filters: tuple[str, ...], template: str, quiet: bool) -> None:
    services = client.get("/services", {"status": True, **({"filters": filters_of(filters)} if filters else {})})
    services.sort(key=lambda found: found["Spec"]["Name"])
    if quiet:
        for found in services:
            click.echo(short_id(found["ID"]))
        return
    print_rows([_row(found) for found in services], _HEADERS, template)


def _row(found: Json) -> dict[str, object]:
    status = found.get("ServiceStatus") or {}
    ports = (found.get("Endpoint") or {}).get("Ports") or []
    return {
        "ID": short_id(found["ID"]),
        "Name": found["Spec"]["Name"],
        "Mode": "global" if "Global" in found["Spec"]["Mode"] else "replicated",
        "Replicas": f"{status.get('RunningTasks', 0)}/{status.get('DesiredTasks', 0)}",
        "Image": found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].partition("@")[0],
        "Ports": ", ".join(
            f"*:{port['PublishedPort']}->{port['TargetPort']}/{port['Protocol']}"
            for port in sorted(ports, key=lambda port: (port["PublishedPort"], port["Protocol"]))
            if port.get("PublishMode", "ingress") == "ingress"
        ),
    }


@click.command("ps", help="List the tasks of one or more services.")
@click.argument("services", metavar="SERVICE...", nargs=-1, required=True)
@filter_option
@format_option
@no_trunc_option
@click.option("--no-resolve", is_flag=True, help="Do not map ids to names.")
@quiet_option
@click.pass_obj
def ps(
    client: Client,
    services: tuple[str, ...],
    filters: tuple[str, ...],
    template: str,
    no_trunc: bool,
    no_resolve: bool,
    quiet: bool,
) -> None:
    wanted = filters_of(filters)
    if "node" in wanted:
        wanted["node"] = {resolve_node(client, reference): True for reference in wanted["node"]}
    found, missing = _find(client, services)
    if found:
        tasks = client.get("/tasks", {"filters": {**wanted, "service": dict.fromkeys(found, True)}})
        print_tasks(tasks, Names(client, not no_resolve), no_trunc, quiet, template)
    if missing:
        raise click.ClickException("\n".join(f"no such service: {name}" for name in missing))


def _find(client: Client, references: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Ids of the services that are there, by id, name or beginning of an id; and the references that are not."""
    by_id = client.get("/services", {"filters": {"id": dict.fromkeys(references, True)}})
    by_name = client.get("/services", {"filters": {"name": dict.fromkeys(references, True)}})
    ids: list[str] = []
    missing: list[str] = []
    for reference in references:
        exact = [found["ID"] for found in by_name if found["Spec"]["Name"] == reference]
        exact += [found["ID"] for found in by_id if found["ID"] == reference]
        exact += [found["ID"] for found in by_id if found["ID"].startswith(reference)]
        (ids if exact else missing).append(exact[0] if exact else reference)
    return ids, missing
