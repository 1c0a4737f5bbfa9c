"""`service create`."""

import random
import shlex
from typing import Any

import click

from pyswarm.cli.client import Client, Json
from pyswarm.cli.options import MOUNT, PUBLISH, mapping
from pyswarm.cli.service.flags import apply_shared, shared_flags
from pyswarm.cli.service.progress import wait_until_converged

_ADJECTIVES = "brave calm clever eager fair gentle happy keen kind lively merry nimble proud quick sharp steady wise"
_NOUNS = "badger crane falcon ferret finch gecko heron ibex koala lemur lynx marten otter owl puffin raven seal wren"


@click.command(
    "create",
    help="Create a new service.",
    context_settings={"allow_interspersed_args": False},
)
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--name", help="Service name.")
@click.option("--mode", type=click.Choice(["replicated", "global"]), default="replicated", show_default=True)
@click.option("-e", "--env", multiple=True, metavar="KEY=VALUE", help="Set environment variables.")
@click.option("--entrypoint", help="Overwrite the default entry point of the image.")
@click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="Service labels.")
@click.option("--container-label", multiple=True, metavar="KEY=VALUE", help="Container labels.")
@click.option("-p", "--publish", multiple=True, type=PUBLISH, help="Publish a port: 8080:80, or target=80,mode=host.")
@click.option("--constraint", multiple=True, help="Placement constraints: node.role==worker.")
@click.option("--mount", multiple=True, type=MOUNT, help="Attach a filesystem mount: type=bind,source=/a,target=/b.")
@shared_flags
@click.pass_obj
def create(client: Client, /, image: str, command: tuple[str, ...], **given: Any) -> None:
    spec = _spec(image, command, given)
    created = client.post("/services/create", spec)
    for warning in created.get("Warnings") or ():
        click.echo(warning, err=True)
    click.echo(created["ID"])
    if not given["detach"]:
        wait_until_converged(client, created["ID"], quiet=given["quiet"])


def _spec(image: str, command: tuple[str, ...], given: dict[str, Any]) -> Json:
    container: Json = {"Image": image}
    for field, value in (
        ("Command", words(given["entrypoint"])),
        ("Args", list(command)),
        ("Env", list(given["env"])),
        ("Labels", mapping(given["container_label"])),
        ("Mounts", list(given["mount"])),
    ):
        if value:
            container[field] = value
    template: Json = {"ContainerSpec": container}
    if given["constraint"]:
        template["Placement"] = {"Constraints": list(given["constraint"])}
    spec: Json = {
        "Name": given["name"] or f"{random.choice(_ADJECTIVES.split())}_{random.choice(_NOUNS.split())}",
        "Labels": mapping(given["label"]),
        "TaskTemplate": template,
        "Mode": {"Global": {}} if given["mode"] == "global" else {"Replicated": {"Replicas": 1}},
    }
    ports = [port for ports in given["publish"] for port in ports]
    if ports:
        spec["EndpointSpec"] = {"Mode": "vip", "Ports": ports}
    apply_shared(spec, given)
    return spec


def words(text: str | None) -> list[str]:
    if text is None:
        return []
    return shlex.split(text)
