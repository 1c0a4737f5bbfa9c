"""`service inspect --pretty`. Pure; blanks and tabs are Docker's."""

from collections.abc import Iterator

from core.units import format_duration
from pyswarm.cli.json_types import Json
from pyswarm.cli.service.pretty_container import (
    pretty_container,
    pretty_health,
    pretty_log_driver,
    pretty_resources,
)
from pyswarm.cli.words import duration_in_words, seconds_of


def pretty_service(service: Json, now: float) -> Iterator[str]:
    """Lines; `now` is in seconds since 1970."""
    spec = service["Spec"]
    yield ""
    yield f"ID:\t\t{service['ID']}"
    yield f"Name:\t\t{spec['Name']}"
    if spec.get("Labels"):
        yield "Labels:"
        yield from (f" {key}={value}" if value else f" {key}" for key, value in sorted(spec["Labels"].items()))
    yield from _mode(spec["Mode"])
    yield from _update_status(service.get("UpdateStatus"), now)
    yield from _rebalance(service.get("Rebalance"), now)
    yield "Placement:"
    template = spec["TaskTemplate"]
    yield from _placement(template.get("Placement") or {})
    yield from _update_config("UpdateConfig", "Update order:     ", spec.get("UpdateConfig"))
    yield from _update_config("RollbackConfig", "Rollback order:   ", spec.get("RollbackConfig"))
    yield from pretty_container(template["ContainerSpec"])
    yield from pretty_log_driver(template.get("LogDriver"))
    yield from pretty_resources(template.get("Resources"))
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
    yield from pretty_health(template["ContainerSpec"].get("Healthcheck"))
    yield ""


def _mode(mode: Json) -> Iterator[str]:
    """Docker's command says nothing of jobs."""
    (name,) = mode
    yield f"Service Mode:\t{name}"
    if name == "Replicated":
        yield f" Replicas:\t{(mode[name] or {}).get('Replicas', 1)}"
    elif name == "ReplicatedJob":
        yield f" Completions:\t{(mode[name] or {}).get('TotalCompletions', 1)}"
        yield f" At once:\t{(mode[name] or {}).get('MaxConcurrent', 1)}"


def _placement(placement: Json) -> Iterator[str]:
    if constraints := placement.get("Constraints"):
        yield f" Constraints:\t[{' '.join(constraints)}]"
    if preferences := placement.get("Preferences"):
        labels = (f"spread={preference['Spread']['SpreadDescriptor']}" for preference in preferences)
        yield f" Preferences:   [{' '.join(labels)}]"
    if placement.get("MaxReplicas"):
        yield f" Max Replicas Per Node:   {placement['MaxReplicas']}"


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
