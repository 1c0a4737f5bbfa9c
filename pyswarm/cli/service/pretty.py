"""`service inspect --pretty`. Pure; blanks and tabs are Docker's."""

from collections.abc import Iterator

from core.units import format_duration, format_size
from pyswarm.cli.json_types import Json
from pyswarm.cli.words import duration_in_words, seconds_of


def pretty_service(service: Json, now: float) -> Iterator[str]:
    """Lines; `now` is in seconds since 1970."""
    spec = service["Spec"]
    yield ""
    yield f"ID:\t\t{service['ID']}"
    yield f"Name:\t\t{spec['Name']}"
    if spec.get("Labels"):
        yield "Labels:"
        yield from (f" {key}={value}" for key, value in sorted(spec["Labels"].items()))
    yield from _mode(spec["Mode"])
    yield from _update_status(service.get("UpdateStatus"), now)
    yield from _rebalance(service.get("Rebalance"), now)
    yield "Placement:"
    if constraints := (spec["TaskTemplate"].get("Placement") or {}).get("Constraints"):
        yield f" Constraints:\t[{' '.join(constraints)}]"
    yield from _update_config("UpdateConfig", "Update order:     ", spec.get("UpdateConfig"))
    yield from _update_config("RollbackConfig", "Rollback order:   ", spec.get("RollbackConfig"))
    yield from _container(spec["TaskTemplate"]["ContainerSpec"])
    yield from _resources(spec["TaskTemplate"].get("Resources"))
    endpoint = service.get("Endpoint") or {}
    yield f"Endpoint Mode:\t{(spec.get('EndpointSpec') or {}).get('Mode', 'vip')}"
    if ports := endpoint.get("Ports"):
        yield "Ports:"
        for port in ports:
            yield f" PublishedPort = {port.get('PublishedPort', 0)}"
            yield f"  Protocol = {port['Protocol']}"
            yield f"  TargetPort = {port['TargetPort']}"
            end = " " if port is ports[-1] else ""
            yield f"  PublishMode = {port.get('PublishMode', 'ingress')}{end}"
    yield ""


def _mode(mode: Json) -> Iterator[str]:
    """Docker's command says nothing of jobs."""
    (name,) = mode
    yield f"Service Mode:\t{name}"
    if name == "Replicated":
        yield f" Replicas:\t{(mode[name] or {}).get('Replicas', 1)}"
    elif name == "ReplicatedJob":
        yield f" Completions:\t{mode[name]['TotalCompletions']}"
        yield f" At once:\t{mode[name]['MaxConcurrent']}"


def _update_status(update: Json, now: float) -> Iterator[str]:
    if not update:
        return
    yield "UpdateStatus:"
    yield f" State:\t\t{update.get('State', '')}"
    for field, heading in (("StartedAt", "Started"), ("CompletedAt", "Completed")):
        if update.get(field):
            yield f" {heading}:\t{duration_in_words(now - seconds_of(update[field]))} ago"
    yield f" Message:\t{update.get('Message', '')}"


def _rebalance(rebalance: Json, now: float) -> Iterator[str]:
    """pyswarm's own."""
    if not rebalance:
        return
    error = rebalance.get("Error", "")
    yield "Rebalance:"
    yield f" State:\t\t{'given up' if error else 'completed' if 'CompletedAt' in rebalance else 'in progress'}"
    yield f" Moved:\t\t{rebalance['Moved']} tasks"
    yield f" Started:\t{duration_in_words(now - seconds_of(rebalance['StartedAt']))} ago"
    if error:
        yield f" Message:\t{error}"


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
    for field in ("Args", "Env"):
        if container.get(field):
            yield f" {field}:\t\t{' '.join(container[field])} "
    if container.get("Dir"):
        yield f" Dir:\t\t{container['Dir']}"
    if container.get("Init") is not None:
        yield f" Init:\t\t{str(container['Init']).lower()}"
    if container.get("User"):
        yield f" User: {container['User']}"
    if container.get("Mounts"):
        yield "Mounts:"
    for mount in container.get("Mounts") or ():
        yield f" Target:\t{mount['Target']}"
        yield f"  Source:\t{mount.get('Source', '')}"
        yield f"  ReadOnly:\t{str(mount.get('ReadOnly', False)).lower()}"
        yield f"  Type:\t\t{mount['Type']}"
    for noun in ("Config", "Secret"):
        references = container.get(f"{noun}s") or ()
        if references:
            yield f"{noun}s:"
        for reference in references:
            yield f" Target:\t{reference['File']['Name']}"
            yield f"  Source:\t{reference[f'{noun}Name']}"


def _resources(resources: Json) -> Iterator[str]:
    if resources is None:
        return
    yield "Resources:"
    for section in ("Reservations", "Limits"):
        given = resources.get(section) or {}
        if given:
            yield f" {section}:"
        if given.get("NanoCPUs"):
            yield f"  CPU:\t\t{given['NanoCPUs'] / 1e9:g}"
        if given.get("MemoryBytes"):
            yield f"  Memory:\t{format_size(given['MemoryBytes'])}"
