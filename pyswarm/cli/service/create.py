"""`service create`."""

import itertools
import random
from collections.abc import Sequence
from typing import Any

import click

from pyswarm.cli.client import Client
from pyswarm.cli.commands import command
from pyswarm.cli.explain import print_explanation
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import ENV, ENV_FILE, LABEL, MOUNT, PUBLISH, Choice, mapping
from pyswarm.cli.registry_auth import auth_headers
from pyswarm.cli.service.change import env_key
from pyswarm.cli.service.dependencies import CONFIG, SECRET, change_references
from pyswarm.cli.service.flags import apply_shared, shared_flags
from pyswarm.cli.service.image import pin_image
from pyswarm.cli.service.lists import by_key, create_lists, set_lists
from pyswarm.cli.service.mode import MODES, new_mode
from pyswarm.cli.service.progress import wait_until_converged
from pyswarm.cli.words import tagged

_ADJECTIVES = "brave calm clever eager fair gentle happy keen kind lively merry nimble proud quick sharp steady wise"
_NOUNS = "badger crane falcon ferret finch gecko heron ibex koala lemur lynx marten otter owl puffin raven seal wren"


@command("create", "Create a new service.", context_settings={"allow_interspersed_args": False})
@click.argument("image")
@click.argument("arguments", metavar="[COMMAND] [ARG...]", nargs=-1, type=click.UNPROCESSED)
@click.option("--name", default="", help="Service name.")
@click.option("--mode", type=Choice(MODES), default="replicated", show_default=True)
@click.option("-e", "--env", multiple=True, type=ENV, help="Set environment variables, like KEY=VALUE.")
@click.option("--env-file", multiple=True, type=ENV_FILE, help="Read environment variables from a file.")
@click.option("-l", "--label", multiple=True, type=LABEL, help="Service labels, like key=value.")
@click.option("--container-label", multiple=True, type=LABEL, help="Container labels, like key=value.")
@click.option("-p", "--publish", multiple=True, type=PUBLISH, help="Publish a port: 8080:80, or target=80,mode=host.")
@click.option("--constraint", multiple=True, help="Placement constraints, like node.role==worker.")
@click.option("--mount", multiple=True, type=MOUNT, help="Attach a filesystem mount: type=bind,source=/a,target=/b.")
@click.option("--secret", multiple=True, type=SECRET, help="Give the tasks a secret: NAME, or source=NAME,target=FILE.")
@click.option(
    "--config", multiple=True, type=CONFIG, help="Give the tasks a config: NAME, or source=NAME,target=/FILE."
)
@click.option("--dry-run", is_flag=True, help="Show where the tasks would go, and change nothing.")
@create_lists
@shared_flags
@click.pass_obj
def create(client: Client, /, image: str, arguments: tuple[str, ...], **given: Any) -> None:
    name = given["name"] or f"{random.choice(_ADJECTIVES.split())}_{random.choice(_NOUNS.split())}"
    spec = service_spec(name, image, arguments, given)
    change_references(client, spec["TaskTemplate"]["ContainerSpec"], given)
    template = spec["TaskTemplate"]
    headers = auth_headers(template["ContainerSpec"]["Image"]) if given["with_registry_auth"] else {}
    warning = "" if given["no_resolve_image"] else pin_image(client, template, headers)
    if given["dry_run"]:
        print_explanation(client.post("/pyswarm/services/dry-run", spec), planned=True)
        return
    created = client.post("/services/create", spec, headers=headers)
    for text in filter(None, (*(created.get("Warnings") or ()), warning)):
        click.echo(text, err=True)
    click.echo(created["ID"])
    if not given["detach"]:
        wait_until_converged(client, created["ID"], quiet=given["quiet"])


def service_spec(name: str, image: str, arguments: Sequence[str], given: dict[str, Any]) -> Json:
    """The API's spec of the flags that were `given`. Raises click.ClickException."""
    container: Json = {"Image": tagged(image)}
    for field, value in (
        ("Args", list(arguments)),
        ("Env", by_key([], [*itertools.chain(*given["env_file"]), *given["env"]], (), env_key)),
        ("Labels", mapping(given["container_label"])),
        ("Mounts", list(given["mount"])),
    ):
        if value:
            container[field] = value
    template: Json = {"ContainerSpec": container}
    if given["constraint"]:
        template["Placement"] = {"Constraints": list(given["constraint"])}
    spec: Json = {
        "Name": name,
        "Labels": mapping(given["label"]),
        "TaskTemplate": template,
        "Mode": new_mode(given),
    }
    if ports := [port for ports in given["publish"] for port in ports]:
        spec["EndpointSpec"] = {"Mode": "vip", "Ports": ports}
    set_lists(template, given)
    apply_shared(spec, given)
    return spec
