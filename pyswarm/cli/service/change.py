"""What the -add and -rm flags of `service update` do to a spec. Pure; the shapes are the API's."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pyswarm.cli.json_types import Json
from pyswarm.cli.service.flags import apply_shared
from pyswarm.cli.service.lists import by_key, change_lists, change_mapping
from pyswarm.cli.service.mode import change_mode
from pyswarm.cli.words import tagged

T = TypeVar("T")


def change_spec(spec: Json, given: dict[str, Any]) -> None:
    """Applies the flags that were given to `spec`. Raises click.ClickException."""
    template = spec["TaskTemplate"]
    container = template["ContainerSpec"]
    if given["image"] is not None:
        container["Image"] = tagged(given["image"])
    if given["arguments"] is not None:
        container["Args"] = given["arguments"]
    _change(container, "Env", given["env_add"], given["env_rm"], env_key)
    change_mapping(spec, "Labels", given["label_add"], given["label_rm"])
    change_mapping(container, "Labels", given["container_label_add"], given["container_label_rm"])
    if given["constraint_add"] or given["constraint_rm"]:
        placement = template.setdefault("Placement", {})
        _change(
            placement, "Constraints", given["constraint_add"], given["constraint_rm"], lambda constraint: constraint
        )
        placement["Constraints"].sort()
    _change(container, "Mounts", given["mount_add"], given["mount_rm"], lambda mount: mount["Target"])
    _change_ports(spec, [port for ports in given["publish_add"] for port in ports], given["publish_rm"])
    if given["force"]:
        template["ForceUpdate"] = template.get("ForceUpdate", 0) + 1
    change_lists(template, given)
    change_mode(spec["Mode"], given)
    apply_shared(spec, given)


def env_key(variable: str) -> str:
    return variable.partition("=")[0]


def _change(section: Json, field: str, add: Sequence[T], remove: Sequence[str], key: Callable[[T], str]) -> None:
    if add or remove:
        section[field] = by_key(section.get(field) or [], add, remove, key)


def _change_ports(spec: Json, add: Sequence[Json], remove: Sequence[Sequence[Json]]) -> None:
    """A port is removed by its target, protocol and mode, and added beside others of the same target."""
    if not (add or remove):
        return
    endpoint = spec.setdefault("EndpointSpec", {})
    gone = [_place(port) for ports in remove for port in ports]
    kept = [port for port in endpoint.get("Ports") or [] if _place(port) not in gone]
    known = {(port.get("PublishedPort", 0), *_place(port)): port for port in (*kept, *add)}
    endpoint["Ports"] = [known[place] for place in sorted(known)]


def _place(port: Json) -> tuple[int, str, str]:
    return port["TargetPort"], port.get("Protocol", "tcp"), port.get("PublishMode", "ingress")
