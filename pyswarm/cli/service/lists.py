"""Flags that may be given several times: `--dns` of create is `--dns-add` and `--dns-rm` of update."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeVar

import click

from core.errors import InvalidArgument
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import LABEL, Parsed, mapping

F = TypeVar("F", bound=Callable[..., Any])

_ULIMIT = re.compile(r"([a-z]+)=(-?\d+)(?::(-?\d+))?")
_SPREAD = "spread="


@dataclass(frozen=True)
class ListFlag:
    """Where its values lie in a task template, and what tells one from another."""

    name: str
    what: str
    help: str
    path: tuple[str, ...]
    type: Any = None
    key: Callable[[Any], str] = str
    """What an added value takes the place of another by, and what a value is removed by."""
    names: Callable[[Any], Sequence[str]] | None = None
    """What else it may be removed by."""
    is_sorted: bool = False
    """By update, as Docker's does; create leaves the user's order."""

    @property
    def parameter(self) -> str:
        return self.name.replace("-", "_")


def parse_dns(text: str) -> str:
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        raise InvalidArgument(f"{text} is not an ip address: name servers are given by their addresses") from None


def parse_host(text: str) -> str:
    """`NAME:ADDRESS` or `NAME=ADDRESS` as a line of a hosts file, `ADDRESS NAME`."""
    name, separator, address = text.partition("=") if "=" in text else text.partition(":")
    address = address.removeprefix("[").removesuffix("]")
    try:
        known = address == "host-gateway" or bool(ip_address(address))
    except ValueError:
        known = False
    if not (name and separator and known):
        raise InvalidArgument(f"bad format for add-host: {text!r}: write it like db:10.0.0.9")
    return f"{address} {name}"


def parse_ulimit(text: str) -> Json:
    match = _ULIMIT.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"invalid ulimit argument: {text}: write it like nofile=1024:2048")
    soft = int(match[2])
    return {"Name": match[1], "Hard": int(match[3] or soft), "Soft": soft}


def parse_generic(text: str) -> Json:
    kind, _, number = text.partition("=")
    if not kind or not re.fullmatch(r"[0-9]{1,18}", number):
        raise InvalidArgument(f"invalid generic resource {text!r}: write it like gpu=2")
    return {"DiscreteResourceSpec": {"Kind": kind, "Value": int(number)}}


def parse_preference(text: str) -> Json:
    if not text.startswith(_SPREAD):
        raise InvalidArgument(f"invalid placement preference {text!r}: write it like spread=node.labels.zone")
    return {"Spread": {"SpreadDescriptor": text.removeprefix(_SPREAD)}}


def _kind(resource: Json) -> str:
    return str((resource.get("DiscreteResourceSpec") or resource.get("NamedResourceSpec") or {}).get("Kind", ""))


def _names_of_host(line: str) -> Sequence[str]:
    address, *names = line.split()
    return [form for name in names for form in (name, f"{name}:{address}", f"{name}={address}")]


_CONTAINER = ("ContainerSpec",)
_DNS = ("ContainerSpec", "DNSConfig")
LIST_FLAGS = (
    ListFlag("dns", "a DNS server", "DNS servers.", (*_DNS, "Nameservers"), Parsed("ip", parse_dns), is_sorted=True),
    ListFlag("dns-option", "a DNS option", "DNS options, like ndots:1.", (*_DNS, "Options"), is_sorted=True),
    ListFlag("dns-search", "a DNS search domain", "DNS search domains.", (*_DNS, "Search"), is_sorted=True),
    ListFlag(
        "generic-resource",
        "a generic resource",
        "Generic resources to reserve, like gpu=2.",
        ("Resources", "Reservations", "GenericResources"),
        Parsed("resource", parse_generic),
        _kind,
    ),
    ListFlag("group", "a group of the container", "Supplementary groups of the container.", (*_CONTAINER, "Groups")),
    ListFlag(
        "host",
        "a host of the container's hosts file",
        "Names of hosts, like db:10.0.0.9.",
        (*_CONTAINER, "Hosts"),
        Parsed("host", parse_host),
        names=_names_of_host,
    ),
    ListFlag(
        "placement-pref",
        "a placement preference",
        "Spread tasks, like spread=node.labels.zone.",
        ("Placement", "Preferences"),
        Parsed("pref", parse_preference),
        key=lambda preference: f"{_SPREAD}{preference['Spread']['SpreadDescriptor']}",
    ),
    ListFlag(
        "ulimit",
        "a ulimit",
        "Ulimits, like nofile=1024:2048.",
        (*_CONTAINER, "Ulimits"),
        Parsed("ulimit", parse_ulimit),
        key=lambda limit: str(limit["Name"]),
        is_sorted=True,
    ),
)


def create_lists(command: F) -> F:
    for flag in reversed(LIST_FLAGS):
        command = click.option(f"--{flag.name}", multiple=True, type=flag.type, help=flag.help)(command)
    return click.option("--sysctl", multiple=True, type=LABEL, help="Kernel parameters, like net.a=1.")(command)


def update_lists(command: F) -> F:
    for flag in reversed(LIST_FLAGS):
        command = add_and_remove(flag.name, flag.what, add=flag.type)(command)
    return add_and_remove("sysctl", "a kernel parameter", " by its name", LABEL)(command)


def add_and_remove(name: str, what: str, remove_by: str = "", add: Any = None, remove: Any = None) -> Callable[[F], F]:
    """`--NAME-add` and `--NAME-rm`."""

    def decorate(command: F) -> F:
        command = click.option(f"--{name}-rm", multiple=True, type=remove, help=f"Remove {what}{remove_by}.")(command)
        return click.option(f"--{name}-add", multiple=True, type=add, help=f"Add or update {what}.")(command)

    return decorate


def set_lists(template: Json, given: dict[str, Any]) -> None:
    """Puts the lists that create was given into a task template."""
    for flag in LIST_FLAGS:
        if given[flag.parameter]:
            section, field = _place(template, flag)
            section[field] = by_key([], given[flag.parameter], (), flag.key)
    if given["sysctl"]:
        template["ContainerSpec"]["Sysctls"] = mapping(given["sysctl"])


def change_lists(template: Json, given: dict[str, Any]) -> None:
    """Does to a task template what update was given."""
    for flag in LIST_FLAGS:
        add, remove = given[f"{flag.parameter}_add"], given[f"{flag.parameter}_rm"]
        if add or remove:
            section, field = _place(template, flag)
            items = section.get(field) or []
            if flag.names is not None:
                items = [item for item in items if not set(flag.names(item)) & set(remove)]
            changed = by_key(items, add, remove, flag.key)
            section[field] = sorted(changed, key=flag.key) if flag.is_sorted else changed
    change_mapping(template["ContainerSpec"], "Sysctls", given["sysctl_add"], given["sysctl_rm"])


def by_key(items: Sequence[Any], add: Sequence[Any], remove: Sequence[str], key: Callable[[Any], str]) -> list[Any]:
    """`items` with those of `add`, each in the place of the one of its key; without those whose key is in `remove`."""
    kept = {key(item): item for item in items if key(item) not in remove}
    return list({**kept, **{key(item): item for item in add}}.values())


def change_mapping(section: Json, field: str, add: Sequence[str], remove: Sequence[str]) -> None:
    """Labels and the like: `add` are `key=value`, `remove` are keys."""
    if add or remove:
        kept = {name: value for name, value in (section.get(field) or {}).items() if name not in remove}
        section[field] = {**kept, **mapping(add)}


def _place(template: Json, flag: ListFlag) -> tuple[Json, str]:
    *outer, last = flag.path
    for name in outer:
        template = template.setdefault(name, {})
    return template, last
