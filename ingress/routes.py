"""What one node's data plane is to do, and the difference between two such plans. Pure.

Plain tuples and no import of the model: the relay process, which is kept small, shares this file.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from core.errors import InvalidArgument

ExportKey = tuple[str, int]
"""(task id, port in the container)."""


class Local(NamedTuple):
    """A task of this node: its container is reached on the local bridge."""

    task_id: str
    port: int
    address: str


class Remote(NamedTuple):
    """A task of another node: that node's relay reaches it."""

    task_id: str
    port: int
    node_id: str
    address: str
    """Of the node, without a port."""


Backend = Local | Remote


class Plan(NamedTuple):
    version: int
    listeners: Mapping[int, tuple[Backend, ...]]
    """By published TCP port. A port without backends is held, and refuses connections."""
    exports: Mapping[ExportKey, str]
    """The containers of this node that other nodes' relays may ask for, and their addresses."""
    nodes: frozenset[str]
    """The nodes whose relays are served."""


EMPTY = Plan(0, {}, {}, frozenset())


class Change(NamedTuple):
    """What turns one plan into another. It travels to the relay; a complete plan is a change of EMPTY."""

    version: int
    listeners: Mapping[int, tuple[Backend, ...]]
    closed: tuple[int, ...]
    exports: Mapping[ExportKey, str]
    withdrawn: tuple[ExportKey, ...]
    admitted: tuple[str, ...]
    expelled: tuple[str, ...]


def difference(old: Plan, new: Plan) -> Change:
    """The change for which `patched(old, change) == new`."""
    return Change(
        version=new.version,
        listeners={port: backends for port, backends in new.listeners.items() if old.listeners.get(port) != backends},
        closed=tuple(sorted(old.listeners.keys() - new.listeners.keys())),
        exports={key: address for key, address in new.exports.items() if old.exports.get(key) != address},
        withdrawn=tuple(sorted(old.exports.keys() - new.exports.keys())),
        admitted=tuple(sorted(new.nodes - old.nodes)),
        expelled=tuple(sorted(old.nodes - new.nodes)),
    )


def patched(plan: Plan, change: Change) -> Plan:
    listeners = {port: backends for port, backends in plan.listeners.items() if port not in change.closed}
    exports = {key: address for key, address in plan.exports.items() if key not in change.withdrawn}
    return Plan(
        version=change.version,
        listeners={**listeners, **change.listeners},
        exports={**exports, **change.exports},
        nodes=plan.nodes.union(change.admitted).difference(change.expelled),
    )


def to_json(change: Change) -> dict[str, Any]:
    """Only what JSON has; `from_json` is the inverse."""
    return {
        "version": change.version,
        "listeners": [[port, backends] for port, backends in change.listeners.items()],
        "closed": change.closed,
        "exports": [[*key, address] for key, address in change.exports.items()],
        "withdrawn": change.withdrawn,
        "admitted": change.admitted,
        "expelled": change.expelled,
    }


def from_json(data: Any) -> Change:
    """Raises InvalidArgument for anything that `to_json` does not make."""
    try:
        return Change(
            version=_whole(data["version"]),
            listeners={
                _port(port): tuple(_backend(backend) for backend in backends) for port, backends in data["listeners"]
            },
            closed=tuple(_port(port) for port in data["closed"]),
            exports={(_text(task), _port(port)): _text(address) for task, port, address in data["exports"]},
            withdrawn=tuple((_text(task), _port(port)) for task, port in data["withdrawn"]),
            admitted=tuple(_text(node) for node in data["admitted"]),
            expelled=tuple(_text(node) for node in data["expelled"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidArgument(f"malformed ingress plan: {error!r}") from error


def _backend(fields: Any) -> Backend:
    if len(fields) == len(Local._fields):
        task, port, address = fields
        return Local(_text(task), _port(port), _text(address))
    task, port, node, address = fields
    return Remote(_text(task), _port(port), _text(node), _text(address))


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _port(value: Any) -> int:
    if not 0 < _whole(value) < 65536:
        raise ValueError(f"{value!r} is not a port")
    return int(value)


def _text(value: Any) -> str:
    if type(value) is not str or not value:
        raise ValueError(f"{value!r} is not a name")
    return value
