"""Published ports as flags give them. Pure; the shapes are the API's."""

import re

from core.errors import InvalidArgument
from pyswarm.cli.fields import fields
from pyswarm.cli.json_types import Json

_HOW = "write it like 8080:80 or published=8080,target=80"
_PROTOCOLS = ("tcp", "udp", "sctp")
_MODES = ("ingress", "host")


def parse_publish(text: str) -> list[Json]:
    """`8080:80`, `80`, `8000-8002:80-82/tcp`, or `published=8080,target=80,protocol=tcp,mode=host`.

    Raises InvalidArgument.
    """
    if "=" in text:
        return [_long(text)]
    body, _, protocol = text.partition("/")
    published, separator, target = body.rpartition(":")
    if ":" in published:
        raise InvalidArgument(f"hostip is not supported: a service listens on every address of every node; {_HOW}")
    targets = _range(target)
    if not separator:
        return [_port(port, 0, protocol.lower() or "tcp", "ingress") for port in targets]
    published_ports = _range(published)
    if len(targets) == 1:
        targets *= len(published_ports)
    if len(published_ports) != len(targets):
        raise InvalidArgument(f"invalid ranges in {text!r}: write two of the same length")
    pairs = zip(targets, published_ports, strict=True)
    return [_port(target, published, protocol.lower() or "tcp", "ingress") for target, published in pairs]


def _long(text: str) -> Json:
    given = {"protocol": "tcp", "mode": "ingress", "published": "0", "target": ""}
    for key, value in fields(text.lower()):
        if key not in given:
            raise InvalidArgument(f"invalid field key {key!r}: there are {', '.join(given)}")
        given[key] = value
    if not given["target"]:
        raise InvalidArgument(f"missing mandatory field 'target': {_HOW}")
    published = 0 if given["published"] == "0" else _number(given["published"])
    return _port(_number(given["target"]), published, given["protocol"], given["mode"])


def _port(target: int, published: int, protocol: str, mode: str) -> Json:
    if protocol not in _PROTOCOLS:
        raise InvalidArgument(f"invalid protocol {protocol!r}: write {', '.join(_PROTOCOLS)}")
    if mode not in _MODES:
        raise InvalidArgument(f"invalid publish mode {mode!r}: write {' or '.join(_MODES)}")
    port = {"Protocol": protocol, "TargetPort": target, "PublishMode": mode}
    return {**port, "PublishedPort": published} if published else port


def _range(text: str) -> list[int]:
    first, separator, last = text.partition("-")
    start = _number(first)
    end = _number(last) if separator else start
    if end < start:
        raise InvalidArgument(f"invalid range {text!r}: it ends before it begins")
    return list(range(start, end + 1))


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise InvalidArgument(f"invalid port {text!r}: {_HOW}, with ports from 1 to 65535")
    return int(text)
