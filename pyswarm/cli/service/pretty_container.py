"""What `service inspect --pretty` says of the tasks' container. Pure; blanks and tabs are Docker's."""

from collections.abc import Iterator

from core.units import format_duration, format_size
from pyswarm.cli.json_types import Json


def pretty_container(container: Json) -> Iterator[str]:
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
    yield from _kernel(container)
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


def pretty_log_driver(driver: Json) -> Iterator[str]:
    if not driver:
        return
    yield "Log Driver:"
    if driver.get("Name"):
        yield f" Name:\t\t{driver['Name']}"
    if driver.get("Options"):
        yield " LogOpts:"
    for name, value in sorted((driver.get("Options") or {}).items()):
        yield f"  {name}:       {value}" if value else f"  {name}"
    yield ""


def pretty_resources(resources: Json) -> Iterator[str]:
    if resources is None:
        return
    yield "Resources:"
    for section in ("Reservations", "Limits"):
        given = resources.get(section) or {}
        if any(given.get(field) for field in ("NanoCPUs", "MemoryBytes", "Pids")):
            yield f" {section}:"
        if given.get("NanoCPUs"):
            yield f"  CPU:\t\t{given['NanoCPUs'] / 1e9:g}"
        if given.get("MemoryBytes"):
            yield f"  Memory:\t{format_size(given['MemoryBytes'])}"
        if given.get("Pids"):
            yield f"  PIDs:\t\t{given['Pids']}"


def pretty_health(check: Json) -> Iterator[str]:
    if not check:
        return
    yield " Healthcheck:"
    yield f"  Interval = {format_duration(check.get('Interval', 0))}"
    yield f"  Retries = {check.get('Retries', 0)}"
    yield f"  StartPeriod =\t{format_duration(check.get('StartPeriod', 0))}"
    yield f"  Timeout =\t{format_duration(check.get('Timeout', 0))}"
    if tests := check.get("Test"):
        yield "  Tests:"
        yield from (f"\t Test = {word}" for word in (*tests[:-1], f"{tests[-1]} "))


def _kernel(container: Json) -> Iterator[str]:
    if container.get("CapabilityAdd") or container.get("CapabilityDrop"):
        yield "Capabilities:"
    for heading, field in (("Add", "CapabilityAdd"), ("Drop", "CapabilityDrop")):
        if container.get(field):
            yield f" {heading}: {', '.join(container[field])}"
    if container.get("Sysctls"):
        yield "SysCtls:"
    for name, value in sorted((container.get("Sysctls") or {}).items()):
        yield f" {name}: {value}" if value else f" {name}"
    if container.get("Ulimits"):
        yield "Ulimits:"
    for limit in sorted(container.get("Ulimits") or (), key=lambda limit: str(limit["Name"])):
        yield f" {limit['Name']}: {limit['Soft']}:{limit['Hard']}"
