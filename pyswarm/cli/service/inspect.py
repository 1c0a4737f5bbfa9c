"""`service inspect`, and its --pretty."""

from collections.abc import Iterator

import click

from core.units import format_duration, format_size
from pyswarm.cli.client import ApiError, Client, Json
from pyswarm.cli.output import format_option, print_inspected


@click.command("inspect", help="Display detailed information on one or more services.")
@click.argument("references", metavar="SERVICE...", nargs=-1, required=True)
@click.option("--pretty", is_flag=True, help="Print the information in a human friendly format.")
@format_option
@click.pass_obj
def inspect(client: Client, references: tuple[str, ...], pretty: bool, template: str) -> None:
    if pretty and template:
        raise click.UsageError("--format is incompatible with human friendly format")
    found: list[Json] = []
    failure: ApiError | None = None
    for reference in references:
        try:
            found.append(client.get(f"/services/{reference}", {"insertDefaults": True}))
        except ApiError as error:
            failure = error
            break
    if pretty:
        for service in found:
            click.echo("\n".join(_pretty(service)))
    else:
        print_inspected(found, template)
    if failure is not None:
        raise failure


def _pretty(service: Json) -> Iterator[str]:
    spec = service["Spec"]
    yield ""
    yield f"ID:\t\t{service['ID']}"
    yield f"Name:\t\t{spec['Name']}"
    if spec.get("Labels"):
        yield "Labels:"
        yield from (f" {key}={value}" for key, value in sorted(spec["Labels"].items()))
    if "Global" in spec["Mode"]:
        yield "Service Mode:\tGlobal"
    else:
        yield "Service Mode:\tReplicated"
        yield f" Replicas:\t{(spec['Mode']['Replicated'] or {}).get('Replicas', 1)}"
    if update := service.get("UpdateStatus"):
        yield "UpdateStatus:"
        yield f" State:\t\t{update['State']}"
        yield f" Message:\t{update.get('Message', '')}"
    yield "Placement:"
    if constraints := (spec["TaskTemplate"].get("Placement") or {}).get("Constraints"):
        yield f" Constraints:\t[{' '.join(constraints)}]"
    yield from _update_config("UpdateConfig", "Update order:     ", spec.get("UpdateConfig"))
    yield from _update_config("RollbackConfig", "Rollback order:   ", spec.get("RollbackConfig"))
    yield from _container(spec["TaskTemplate"]["ContainerSpec"])
    yield from _resources(spec["TaskTemplate"].get("Resources") or {})
    endpoint = service.get("Endpoint") or {}
    yield f"Endpoint Mode:\t{(spec.get('EndpointSpec') or {}).get('Mode', 'vip')}"
    if ports := endpoint.get("Ports"):
        yield "Ports:"
        for port in ports:
            yield f" PublishedPort = {port.get('PublishedPort', 0)}"
            yield f"  Protocol = {port['Protocol']}"
            yield f"  TargetPort = {port['TargetPort']}"
            yield f"  PublishMode = {port.get('PublishMode', 'ingress')}"


def _update_config(heading: str, order: str, config: Json) -> Iterator[str]:
    if not config:
        return
    yield f"{heading}:"
    yield f" Parallelism:\t{config['Parallelism']}"
    if config.get("Delay"):
        yield f" Delay:\t\t{format_duration(config['Delay'])}"
    yield f" On failure:\t{config.get('FailureAction', 'pause')}"
    if config.get("Monitor"):
        yield f" Monitoring Period: {format_duration(config['Monitor'])}"
    yield f" Max failure ratio: {config.get('MaxFailureRatio', 0):g}"
    yield f" {order} {config.get('Order', 'stop-first')}"


def _container(container: Json) -> Iterator[str]:
    yield "ContainerSpec:"
    yield f" Image:\t\t{container['Image']}"
    for field, heading in (("Command", "Command:\t"), ("Args", "Args:\t\t"), ("Env", "Env:\t\t")):
        if container.get(field):
            yield f" {heading}{' '.join(container[field])} "
    for field, heading in (("Dir", "Dir:\t\t"), ("User", "User:\t\t"), ("Hostname", "Hostname:\t")):
        if container.get(field):
            yield f" {heading}{container[field]}"
    if container.get("Mounts"):
        yield "Mounts:"
    for mount in container.get("Mounts") or ():
        yield f" Target:\t{mount['Target']}"
        yield f"  Source:\t{mount.get('Source', '')}"
        yield f"  ReadOnly:\t{str(mount.get('ReadOnly', False)).lower()}"
        yield f"  Type:\t\t{mount['Type']}"


def _resources(resources: Json) -> Iterator[str]:
    yield "Resources:"
    for section in ("Reservations", "Limits"):
        given = resources.get(section) or {}
        if given:
            yield f" {section}:"
        if given.get("NanoCPUs"):
            yield f"  CPU:\t\t{given['NanoCPUs'] / 1e9:g}"
        if given.get("MemoryBytes"):
            yield f"  Memory:\t{format_size(given['MemoryBytes'])}"
