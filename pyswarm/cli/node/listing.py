"""`node ls` and `node ps`."""

from typing import Any

import click

from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import command, fail_if, for_each
from pyswarm.cli.completion import complete_nodes
from pyswarm.cli.json_types import Json
from pyswarm.cli.node.reference import resolve
from pyswarm.cli.options import filters_of, listing_flags
from pyswarm.cli.output import Listing, print_listing
from pyswarm.cli.tasks import print_tasks, task_flags
from pyswarm.cli.template import Row
from pyswarm.cli.words import capitalised, natural

LISTING = Listing(
    headings={
        "ID": "ID",
        "Self": "",
        "Hostname": "HOSTNAME",
        "Status": "STATUS",
        "Availability": "AVAILABILITY",
        "ManagerStatus": "MANAGER STATUS",
        "EngineVersion": "ENGINE VERSION",
        "TLSStatus": "TLS STATUS",
    },
    raw={
        "node_id": "ID",
        "hostname": "Hostname",
        "status": "Status",
        "availability": "Availability",
        "manager_status": "ManagerStatus",
    },
    table="{{.ID}} {{if .Self}}*{{else}} {{end}}\t{{.Hostname}}\t{{.Status}}\t{{.Availability}}\t{{.ManagerStatus}}"
    "\t{{.EngineVersion}}",
)


@command("ls", "List nodes.")
@listing_flags
@click.pass_obj
def list_nodes(client: Client, filters: tuple[tuple[str, str], ...], template: str, quiet: bool) -> None:
    nodes = client.get("/nodes", {"filters": filters_of(filters)})
    swarm = client.get("/info")["Swarm"] if nodes and not quiet else {}
    rows = [_row(found, swarm) for found in sorted(nodes, key=lambda found: natural(_hostname(found)))]
    print_listing(LISTING, rows, template, quiet)
    for warning in swarm.get("Warnings") or ():
        click.echo(warning, err=True)


@command("ps", "List the tasks of one or more nodes, defaults to this one.")
@click.argument("references", metavar="[NODE...]", nargs=-1, shell_complete=complete_nodes)
@task_flags
@click.pass_obj
def ps(client: Client, /, references: tuple[str, ...], filters: tuple[tuple[str, str], ...], **shown: Any) -> None:
    tasks: list[Json] = []

    def add(reference: str) -> None:
        node_id = client.get(path_to("/nodes", resolve(client, reference)))["ID"]
        tasks.extend(client.get("/tasks", {"filters": {**filters_of(filters), "node": {node_id: True}}}))

    errors = for_each(references or ("self",), add)
    if tasks or not errors:
        print_tasks(client, tasks, **shown)
    fail_if(errors)


def _row(found: Json, swarm: Json) -> Row:
    manager = found.get("ManagerStatus") or {}
    engine = (found.get("Description") or {}).get("Engine") or {}
    return Row(
        ID=found["ID"],
        Self=found["ID"] == swarm.get("NodeID"),
        Hostname=_hostname(found),
        Status=capitalised(found["Status"]["State"]),
        Availability=capitalised(found["Spec"]["Availability"]),
        ManagerStatus="Leader" if manager.get("Leader") else capitalised(manager.get("Reachability", "")),
        EngineVersion=engine.get("EngineVersion", ""),
        TLSStatus=_tls_status(
            (found.get("Description") or {}).get("TLSInfo"), (swarm.get("Cluster") or {}).get("TLSInfo")
        ),
    )


def _tls_status(own: Json, cluster: Json) -> str:
    if not own or not cluster:
        return "Unknown"
    return "Ready" if own == cluster else "Needs Rotation"


def _hostname(found: Json) -> str:
    return str((found.get("Description") or {}).get("Hostname", ""))
