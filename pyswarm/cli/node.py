"""Nodes: ls, inspect, ps, update, promote, demote, rm."""

from collections.abc import Callable

import click

from core.units import format_size
from pyswarm.cli.client import ApiError, Client, Json, filters_of
from pyswarm.cli.options import mapping
from pyswarm.cli.output import (
    filter_option,
    format_option,
    no_trunc_option,
    parse_time,
    print_inspected,
    print_rows,
    quiet_option,
)
from pyswarm.cli.tasks import Names, print_tasks

_HEADERS = {
    "ID": "ID",
    "Hostname": "HOSTNAME",
    "Status": "STATUS",
    "Availability": "AVAILABILITY",
    "ManagerStatus": "MANAGER STATUS",
    "EngineVersion": "ENGINE VERSION",
}


@click.group("node", help="Manage nodes.")
def node() -> None:
    pass


@node.command("ls", help="List nodes.")
@filter_option
@format_option
@quiet_option
@click.pass_obj
def list_nodes(client: Client, filters: tuple[str, ...], template: str, quiet: bool) -> None:
    nodes = client.get("/nodes", {"filters": filters_of(filters)} if filters else None)
    nodes.sort(key=lambda found: (_hostname(found), found["ID"]))
    if quiet:
        for found in nodes:
            click.echo(found["ID"])
        return
    own = client.get("/info")["Swarm"]["NodeID"]
    table = not template or template.startswith("table")
    rows = [_row(found, own, table) for found in nodes]
    print_rows(rows, _HEADERS, template)


def _row(found: Json, own: str, table: bool) -> dict[str, object]:
    is_own = found["ID"] == own
    manager = found.get("ManagerStatus") or {}
    role = "Leader" if manager.get("Leader") else manager.get("Reachability", "").capitalize()
    return {
        "ID": f"{found['ID']} {'*' if is_own else ' '}" if table else found["ID"],
        "Self": is_own,
        "Hostname": _hostname(found),
        "Status": found["Status"]["State"].capitalize(),
        "Availability": found["Spec"]["Availability"].capitalize(),
        "ManagerStatus": role,
        "EngineVersion": ((found.get("Description") or {}).get("Engine") or {}).get("EngineVersion", ""),
        "TLSStatus": "Ready",
        "Message": found["Status"].get("Message", ""),
    }


def _hostname(found: Json) -> str:
    hostname: str = (found.get("Description") or {}).get("Hostname", "")
    return hostname


def resolve(client: Client, reference: str) -> str:
    """`self` is the node the command is given to."""
    if reference != "self":
        return reference
    own: str = client.get("/info")["Swarm"]["NodeID"]
    return own


@node.command(help="Display detailed information on one or more nodes.")
@click.argument("references", metavar="self|NODE...", nargs=-1, required=True)
@click.option("--pretty", is_flag=True, help="Print the information in a human friendly format.")
@format_option
@click.pass_obj
def inspect(client: Client, references: tuple[str, ...], pretty: bool, template: str) -> None:
    found: list[Json] = []
    failure: ApiError | None = None
    for reference in references:
        try:
            found.append(client.get(f"/nodes/{resolve(client, reference)}"))
        except ApiError as error:
            failure = error
            break
    if pretty:
        for item in found:
            _print_pretty(item)
    else:
        print_inspected(found, template)
    if failure is not None:
        raise failure


def _print_pretty(found: Json) -> None:
    description = found.get("Description") or {}
    engine = description.get("Engine") or {}
    resources = description.get("Resources") or {}
    platform = description.get("Platform") or {}
    status = found["Status"]
    lines = [f"ID:\t\t\t{found['ID']}"]
    if found["Spec"].get("Name"):
        lines.append(f"Name:\t\t\t{found['Spec']['Name']}")
    lines += _labels("Labels:", found["Spec"].get("Labels"))
    lines += [
        f"Hostname:              \t{description.get('Hostname', '')}",
        f"Joined at:             \t{parse_time(found['CreatedAt']).strftime('%Y-%m-%d %H:%M:%S.%f')} +0000 utc",
        "Status:",
        f" State:\t\t\t{status['State'].capitalize()}",
    ]
    if status.get("Message"):
        lines.append(f" Message:              \t{status['Message'].capitalize()}")
    lines += [
        f" Availability:         \t{found['Spec']['Availability'].capitalize()}",
        f" Address:\t\t{status.get('Addr', '')}",
    ]
    if manager := found.get("ManagerStatus"):
        lines += [
            "Manager Status:",
            f" Address:\t\t{manager.get('Addr', '')}",
            f" Raft Status:\t\t{manager.get('Reachability', 'unknown').capitalize()}",
            f" Leader:\t\t{'Yes' if manager.get('Leader') else 'No'}",
        ]
    lines += [
        "Platform:",
        f" Operating System:\t{platform.get('OS', '')}",
        f" Architecture:\t\t{platform.get('Architecture', '')}",
        "Resources:",
        f" CPUs:\t\t\t{resources.get('NanoCPUs', 0) // 10**9}",
        f" Memory:\t\t{format_size(resources.get('MemoryBytes', 0))}",
    ]
    plugins: dict[str, list[str]] = {}
    for plugin in engine.get("Plugins") or []:
        plugins.setdefault(plugin["Type"], []).append(plugin["Name"])
    if plugins:
        lines.append("Plugins:")
        lines += [f" {kind}:\t\t{', '.join(sorted(names))}" for kind, names in sorted(plugins.items())]
    lines.append(f"Engine Version:\t\t{engine.get('EngineVersion', '')}")
    lines += _labels("Engine Labels:", engine.get("Labels"))
    if tls := description.get("TLSInfo"):
        lines += ["TLS Info:", f" TrustRoot:\n{tls['TrustRoot']}"]
        lines += [f" Issuer Subject:\t{tls['CertIssuerSubject']}", f" Issuer Public Key:\t{tls['CertIssuerPublicKey']}"]
    click.echo("\n".join(lines))


def _labels(heading: str, labels: Json) -> list[str]:
    return [heading, *(f" - {key}={value}" for key, value in sorted(labels.items()))] if labels else []


@node.command(help="List the tasks of one or more nodes (default: this one).")
@click.argument("references", metavar="[NODE...]", nargs=-1)
@filter_option
@format_option
@no_trunc_option
@click.option("--no-resolve", is_flag=True, help="Do not map ids to names.")
@quiet_option
@click.pass_obj
def ps(
    client: Client,
    references: tuple[str, ...],
    filters: tuple[str, ...],
    template: str,
    no_trunc: bool,
    no_resolve: bool,
    quiet: bool,
) -> None:
    nodes = [client.get(f"/nodes/{resolve(client, reference)}")["ID"] for reference in references or ("self",)]
    wanted = {**filters_of(filters), "node": dict.fromkeys(nodes, True)}
    tasks = client.get("/tasks", {"filters": wanted})
    print_tasks(tasks, Names(client, not no_resolve), no_trunc, quiet, template)


@node.command(help="Update a node.")
@click.argument("reference", metavar="NODE")
@click.option("--availability", type=click.Choice(["active", "pause", "drain"]))
@click.option("--role", type=click.Choice(["worker", "manager"]))
@click.option("--label-add", multiple=True, metavar="KEY=VALUE", help="Add or update a node label.")
@click.option("--label-rm", multiple=True, metavar="KEY", help="Remove a node label if it exists.")
@click.pass_obj
def update(
    client: Client,
    reference: str,
    availability: str | None,
    role: str | None,
    label_add: tuple[str, ...],
    label_rm: tuple[str, ...],
) -> None:
    def change(spec: Json) -> None:
        labels = spec.get("Labels") or {}
        for key in label_rm:
            if key not in labels:
                raise click.ClickException(f"key {key} doesn't exist in node's labels")
        labels = {key: value for key, value in labels.items() if key not in label_rm}
        spec["Labels"] = {**labels, **mapping(label_add)}
        if availability:
            spec["Availability"] = availability
        if role:
            spec["Role"] = role

    _update(client, reference, change)
    click.echo(reference)


@node.command(help="Promote one or more nodes to manager.")
@click.argument("references", metavar="NODE...", nargs=-1, required=True)
@click.pass_obj
def promote(client: Client, references: tuple[str, ...]) -> None:
    for reference in references:
        if _set_role(client, reference, "manager"):
            click.echo(f"Node {reference} promoted to a manager in the swarm.")
        else:
            click.echo(f"Node {reference} is already a manager.")


@node.command(help="Demote one or more managers to worker.")
@click.argument("references", metavar="NODE...", nargs=-1, required=True)
@click.pass_obj
def demote(client: Client, references: tuple[str, ...]) -> None:
    for reference in references:
        if _set_role(client, reference, "worker"):
            click.echo(f"Manager {reference} demoted in the swarm.")
        else:
            click.echo(f"Node {reference} is already a worker.")


@node.command("rm", help="Remove one or more nodes from the cluster.")
@click.argument("references", metavar="NODE...", nargs=-1, required=True)
@click.option("-f", "--force", is_flag=True, help="Remove a node even if it is up.")
@click.pass_obj
def remove(client: Client, references: tuple[str, ...], force: bool) -> None:
    for reference in references:
        client.delete(f"/nodes/{resolve(client, reference)}", {"force": force})
        click.echo(reference)


def _set_role(client: Client, reference: str, role: str) -> bool:
    changed = False

    def change(spec: Json) -> None:
        nonlocal changed
        changed = spec["Role"] != role
        spec["Role"] = role

    _update(client, reference, change)
    return changed


def _update(client: Client, reference: str, change: Callable[[Json], None]) -> None:
    found = client.get(f"/nodes/{resolve(client, reference)}")
    before = {**found["Spec"]}
    change(found["Spec"])
    if found["Spec"] != before:
        client.post(f"/nodes/{found['ID']}/update", found["Spec"], {"version": found["Version"]["Index"]})
