"""How flags are read: durations, sizes, CPUs, key=value pairs, published ports, mounts. Shapes are the API's."""

import csv
import re
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import click

from core.errors import InvalidArgument
from core.units import parse_cpus, parse_duration, parse_size
from pyswarm.cli.client import Json

T = TypeVar("T")


class Parsed(click.ParamType[T], Generic[T]):
    """A flag's type from a function that raises InvalidArgument or ValueError."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except (InvalidArgument, ValueError) as error:
            self.fail(str(error), param, ctx)


DURATION = Parsed("duration", parse_duration)
SIZE = Parsed("bytes", parse_size)
CPUS = Parsed("decimal", parse_cpus)


def mapping(pairs: Sequence[str]) -> dict[str, str]:
    """`a=b` and `a` (which is `a=`), later ones winning."""
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def parse_publish(text: str) -> list[Json]:
    """`8080:80`, `80`, `8000-8002:80-82/tcp`, or `published=8080,target=80,protocol=tcp,mode=host`."""
    if "=" in text:
        return [_long_port(text)]
    body, _, protocol = text.partition("/")
    published, separator, target = body.rpartition(":")
    if ":" in published:
        raise InvalidArgument(f"cannot publish {text!r}: a service's port cannot be bound to one address")
    targets = _range(target, text)
    published_ports = _range(published, text) if separator else [0] * len(targets)
    if len(published_ports) != len(targets):
        raise InvalidArgument(f"invalid ports {text!r}: the two ranges differ in length")
    return [
        _port(target_port, published_port, (protocol or "tcp").lower(), "ingress")
        for target_port, published_port in zip(targets, published_ports, strict=True)
    ]


def parse_port_match(text: str) -> tuple[int, str]:
    """What --publish-rm takes: a target port, perhaps with its protocol."""
    body, _, protocol = text.partition("/")
    return _number(body.rpartition(":")[2], text), (protocol or "tcp").lower()


def _long_port(text: str) -> Json:
    fields = {"protocol": "tcp", "mode": "ingress", "published": "0"}
    for key, value in _fields(text):
        if key in ("published", "target", "protocol", "mode"):
            fields[key] = value
        else:
            raise InvalidArgument(f"invalid field {key!r} in {text!r}: use published, target, protocol and mode")
    if "target" not in fields:
        raise InvalidArgument(f"invalid ports {text!r}: target is missing")
    if fields["mode"] not in ("ingress", "host"):
        raise InvalidArgument(f"invalid publish mode {fields['mode']!r}: use ingress or host")
    target, published = _number(fields["target"], text), _number(fields["published"], text, low=0)
    return _port(target, published, fields["protocol"].lower(), fields["mode"])


def _port(target: int, published: int, protocol: str, mode: str) -> Json:
    if protocol not in ("tcp", "udp", "sctp"):
        raise InvalidArgument(f"invalid protocol {protocol!r}: use tcp, udp or sctp")
    port = {"Protocol": protocol, "TargetPort": target, "PublishMode": mode}
    return {**port, "PublishedPort": published} if published else port


def _range(text: str, whole: str) -> list[int]:
    first, separator, last = text.partition("-")
    start = _number(first, whole)
    end = _number(last, whole) if separator else start
    if end < start:
        raise InvalidArgument(f"invalid ports {whole!r}: the range ends before it begins")
    return list(range(start, end + 1))


def _number(text: str, whole: str, low: int = 1) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not low <= int(text) <= 65535:
        raise InvalidArgument(f"invalid ports {whole!r}: a port is a number from 1 to 65535")
    return int(text)


def parse_mount(text: str) -> Json:
    """Docker's `type=bind,source=/a,target=/b,readonly`; the type is `volume` if it is not given."""
    mount: dict[str, Json] = {"Type": "volume"}
    for key, value in _fields(text):
        _mount_field(mount, key, value, text)
    if "Target" not in mount:
        raise InvalidArgument(f"invalid mount {text!r}: target is required")
    return mount


def _mount_field(mount: dict[str, Json], key: str, value: str, whole: str) -> None:
    def options(name: str) -> dict[str, Json]:
        section: dict[str, Json] = mount.setdefault(name, {})
        return section

    if key in ("type", "source", "src", "target", "dst", "destination", "consistency"):
        name = {"src": "source", "dst": "target", "destination": "target"}.get(key, key).capitalize()
        mount[name] = value.lower() if key == "type" else value
    elif key in ("readonly", "ro"):
        mount["ReadOnly"] = _truth(value, key, whole)
    elif key == "bind-propagation":
        options("BindOptions")["Propagation"] = value.lower()
    elif key == "bind-nonrecursive":
        options("BindOptions")["NonRecursive"] = _truth(value, key, whole)
    elif key == "bind-create-src":
        options("BindOptions")["CreateMountpoint"] = _truth(value, key, whole)
    elif key == "volume-nocopy":
        options("VolumeOptions")["NoCopy"] = _truth(value, key, whole)
    elif key == "volume-label":
        options("VolumeOptions").setdefault("Labels", {}).update(mapping([value]))
    elif key == "volume-driver":
        options("VolumeOptions").setdefault("DriverConfig", {})["Name"] = value
    elif key == "volume-opt":
        options("VolumeOptions").setdefault("DriverConfig", {}).setdefault("Options", {}).update(mapping([value]))
    elif key == "tmpfs-size":
        options("TmpfsOptions")["SizeBytes"] = parse_size(value)
    elif key == "tmpfs-mode":
        if not re.fullmatch(r"[0-7]{1,5}", value):
            raise InvalidArgument(f"invalid tmpfs-mode {value!r} in {whole!r}: write it in octal, like 1777")
        options("TmpfsOptions")["Mode"] = int(value, 8)
    else:
        raise InvalidArgument(f"unexpected field {key!r} in {whole!r}")


def _truth(value: str, key: str, whole: str) -> bool:
    if value.lower() in ("", "1", "t", "true"):
        return True
    if value.lower() in ("0", "f", "false"):
        return False
    raise InvalidArgument(f"invalid value for {key} in {whole!r}: use true or false")


def _fields(text: str) -> list[tuple[str, str]]:
    """Comma-separated `key=value`, as CSV: a value with a comma is quoted."""
    pairs = []
    for item in next(csv.reader([text]), []):
        key, _, value = item.partition("=")
        pairs.append((key.strip().lower(), value))
    return pairs


PUBLISH = Parsed("port", parse_publish)
MOUNT = Parsed("mount", parse_mount)
PORT_MATCH = Parsed("port", parse_port_match)
