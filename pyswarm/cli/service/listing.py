"""`service ls` and `service ps`."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from pyswarm.cli.client import Client
from pyswarm.cli.commands import command
from pyswarm.cli.json_types import Json
from pyswarm.cli.node.reference import resolve as resolve_node
from pyswarm.cli.options import filters_of, listing_flags
from pyswarm.cli.output import Listing, print_listing
from pyswarm.cli.service.flags import services_argument
from pyswarm.cli.tasks import print_tasks, task_flags
from pyswarm.cli.template import Row
from pyswarm.cli.words import familiar, natural, short_id

LISTING = Listing(
    headings={
        "ID": "ID",
        "Name": "NAME",
        "Mode": "MODE",
        "Replicas": "REPLICAS",
        "Image": "IMAGE",
        "Ports": "PORTS",
    },
    raw={
        "id": "ID",
        "name": "Name",
        "mode": "Mode",
        "replicas": "Replicas",
        "image": "Image",
        "ports": "Ports",
    },
)


@command("ls", "List services.")
@listing_flags
@click.pass_obj
def list_services(client: Client, filters: tuple[tuple[str, str], ...], template: str, quiet: bool) -> None:
    services = client.get("/services", {"status": True, "filters": filters_of(filters)})
    rows = [_row(found) for found in sorted(services, key=lambda found: natural(found["Spec"]["Name"]))]
    print_listing(LISTING, rows, template, quiet)


@command("ps", "List the tasks of one or more services.")
@services_argument
@task_flags
@click.pass_obj
def ps(client: Client, /, services: tuple[str, ...], filters: tuple[tuple[str, str], ...], **shown: Any) -> None:
    wanted = filters_of(filters)
    if "node" in wanted:
        wanted["node"] = {resolve_node(client, reference): True for reference in wanted["node"]}
    by_id = client.get("/services", {"filters": {"id": dict.fromkeys(services, True)}})
    by_name = client.get("/services", {"filters": {"name": dict.fromkeys(services, True)}})
    found = {reference: service_id(reference, by_id, by_name) for reference in services}
    ids = [identifier for identifier in found.values() if identifier]
    if ids:
        tasks = client.get("/tasks", {"filters": {**wanted, "service": dict.fromkeys(ids, True)}})
        # Whole ids, as Docker's `service ps -q` prints them and its `node ps -q` does not.
        print_tasks(client, tasks, **{**shown, "no_trunc": shown["no_trunc"] or shown["quiet"]})
    if missing := [f"no such service: {reference}" for reference, identifier in found.items() if not identifier]:
        raise click.ClickException("\n".join(missing))


def service_id(reference: str, by_id: Sequence[Json], by_name: Sequence[Json]) -> str:
    """The service of that id, else of that name, else the only one whose id begins so; empty if there is none.

    Raises click.ClickException if there are several.
    """
    exact = [found["ID"] for found in by_id if found["ID"] == reference]
    exact += [found["ID"] for found in by_name if found["Spec"]["Name"] == reference]
    beginning = [found["ID"] for found in by_id if found["ID"].startswith(reference)]
    if not exact and len(beginning) > 1:
        raise click.ClickException(f"multiple services found with provided prefix: {reference}")
    return str([*exact, *beginning, ""][0])


def _row(found: Json) -> Row:
    mode, replicas = mode_and_replicas(found)
    return Row(
        ID=short_id(found["ID"]),
        Name=found["Spec"]["Name"],
        Mode=mode,
        Replicas=replicas,
        Image=familiar(found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]),
        Ports=", ".join(port_ranges((found.get("Endpoint") or {}).get("Ports") or [])),
    )


def mode_and_replicas(found: Json) -> tuple[str, str]:
    """As in `replicated`, `2/3 (max 1 per node)`, or `global job`, `1/2 (4/6 completed)`."""
    mode, status = found["Spec"]["Mode"], found.get("ServiceStatus") or {}
    running, desired, completed = (status.get(f"{key}Tasks", 0) for key in ("Running", "Desired", "Completed"))
    count = f"{running}/{desired}"
    if "ReplicatedJob" in mode:
        return "replicated job", f"{count} ({completed}/{mode['ReplicatedJob']['TotalCompletions']} completed)"
    if "GlobalJob" in mode:
        return "global job", f"{count} ({completed}/{desired + completed} completed)"
    if "Global" in mode:
        return "global", count
    most = (found["Spec"]["TaskTemplate"].get("Placement") or {}).get("MaxReplicas")
    return "replicated", f"{count} (max {most} per node)" if most else count


def port_ranges(ports: Sequence[Json]) -> Iterator[str]:
    """Ingress ports, those that follow one another as a range: `*:8080-8081->80-81/tcp`, `*:9000-9001->80/tcp`."""
    ingress = [port for port in ports if port.get("PublishMode", "ingress") == "ingress"]
    runs: list[list[tuple[str, int, int]]] = []
    for protocol, published, target in sorted((p["Protocol"], p["PublishedPort"], p["TargetPort"]) for p in ingress):
        if runs and _follows(runs[-1], protocol, published, target):
            runs[-1].append((protocol, published, target))
        else:
            runs.append([(protocol, published, target)])
    for run in runs:
        (protocol, first, first_target), (_, last, last_target) = run[0], run[-1]
        yield f"*:{_span(first, last)}->{_span(first_target, last_target)}/{protocol}"


def _follows(run: Sequence[tuple[str, int, int]], protocol: str, published: int, target: int) -> bool:
    """Whether a port goes on with `run`: either every target is the same, or each is one more than the last."""
    step = run[-1][2] - run[0][2] if len(run) > 1 else target - run[0][2]
    wanted = 0 if step == 0 else 1
    last_protocol, last, last_target = run[-1]
    return (last_protocol, last + 1, last_target + wanted) == (protocol, published, target)


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
