"""`service update`: the current spec, changed by the flags, sent back with the version that was read."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from pyswarm.cli.client import Client, Json
from pyswarm.cli.options import MOUNT, PORT_MATCH, PUBLISH, mapping
from pyswarm.cli.service.create import words
from pyswarm.cli.service.flags import apply_shared, shared_flags
from pyswarm.cli.service.progress import wait_until_converged


def _list_flags(*names: str, **adds: Any) -> Callable[[Any], Any]:
    """`--NAME-add` and `--NAME-rm` for each name."""

    def decorate(command: Any) -> Any:
        for name in reversed(names):
            command = click.option(f"--{name}-rm", multiple=True, help=f"Remove a {name}.")(command)
            command = click.option(f"--{name}-add", multiple=True, help=f"Add or update a {name}.", **adds)(command)
        return command

    return decorate


@click.command("update", help="Update a service.")
@click.argument("service")
@click.option("--image", help="Service image tag.")
@click.option("--args", "arguments", help="Service command arguments.")
@click.option("--entrypoint", help="Overwrite the default entry point of the image.")
@_list_flags("env", "label", "container-label", "constraint")
@click.option("--publish-add", multiple=True, type=PUBLISH, help="Add or update a published port.")
@click.option("--publish-rm", multiple=True, type=PORT_MATCH, help="Remove a published port by its target port.")
@click.option("--mount-add", multiple=True, type=MOUNT, help="Add or update a mount.")
@click.option("--mount-rm", multiple=True, help="Remove a mount by its target path.")
@click.option("--force", is_flag=True, help="Replace the tasks even if nothing else changes.")
@click.option("--rollback", is_flag=True, help="Go back to the previous specification.")
@shared_flags
@click.pass_obj
def update(client: Client, /, service: str, **given: Any) -> None:
    current = client.get(f"/services/{service}", {"insertDefaults": False})
    query: dict[str, object] = {"version": current["Version"]["Index"]}
    if given["rollback"]:
        query["rollback"] = "previous"
    else:
        change(current["Spec"], given)
    answer = client.post(f"/services/{current['ID']}/update", current["Spec"], query)
    for warning in (answer or {}).get("Warnings") or ():
        click.echo(warning, err=True)
    click.echo(service)
    if not given["detach"]:
        wait_until_converged(client, current["ID"], quiet=given["quiet"])


def change(spec: Json, given: dict[str, Any]) -> None:
    """Applies the flags to `spec`."""
    template = spec["TaskTemplate"]
    container = template["ContainerSpec"]
    if given["image"]:
        container["Image"] = given["image"]
    if given["arguments"] is not None:
        container["Args"] = words(given["arguments"])
    if given["entrypoint"] is not None:
        container["Command"] = words(given["entrypoint"])
    _pairs(container, "Env", given["env_add"], given["env_rm"])
    _labels(spec, given["label_add"], given["label_rm"])
    _labels(container, given["container_label_add"], given["container_label_rm"])
    if given["constraint_add"] or given["constraint_rm"]:
        placement = template.setdefault("Placement", {})
        kept = [item for item in placement.get("Constraints") or [] if item not in given["constraint_rm"]]
        placement["Constraints"] = kept + [item for item in given["constraint_add"] if item not in kept]
    _keyed(container, "Mounts", given["mount_add"], given["mount_rm"], lambda mount: mount["Target"])
    added = [port for ports in given["publish_add"] for port in ports]
    if added or given["publish_rm"]:
        endpoint = spec.setdefault("EndpointSpec", {})
        _keyed(endpoint, "Ports", added, given["publish_rm"], lambda port: (port["TargetPort"], port["Protocol"]))
    if given["force"]:
        template["ForceUpdate"] = template.get("ForceUpdate", 0) + 1
    apply_shared(spec, given)


def _pairs(section: Json, field: str, add: Sequence[str], remove: Sequence[str]) -> None:
    if add or remove:
        changed = {item.partition("=")[0] for item in add} | set(remove)
        kept = [item for item in section.get(field) or [] if item.partition("=")[0] not in changed]
        section[field] = kept + list(add)


def _labels(section: Json, add: Sequence[str], remove: Sequence[str]) -> None:
    if add or remove:
        kept = {key: value for key, value in (section.get("Labels") or {}).items() if key not in remove}
        section["Labels"] = {**kept, **mapping(add)}


def _keyed(section: Json, field: str, add: Sequence[Json], remove: Sequence[Any], key: Callable[[Json], Any]) -> None:
    if add or remove:
        changed = {key(item) for item in add} | set(remove)
        section[field] = [item for item in section.get(field) or [] if key(item) not in changed] + list(add)
