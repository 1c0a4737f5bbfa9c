"""`service update`: the current spec, changed by the flags, sent back with the version that was read."""

from typing import Any

import click

from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import command
from pyswarm.cli.options import COMMAND, ENV, LABEL, MOUNT, PUBLISH
from pyswarm.cli.registry_auth import auth_headers
from pyswarm.cli.service.change import change_spec
from pyswarm.cli.service.dependencies import CONFIG, SECRET, change_references
from pyswarm.cli.service.flags import service_argument, shared_flags
from pyswarm.cli.service.image import pin_image
from pyswarm.cli.service.lists import add_and_remove, update_lists
from pyswarm.cli.service.progress import wait_until_converged
from pyswarm.cli.service.send import send_update

_WITH_ROLLBACK = frozenset({"rollback", "detach", "quiet"})


@command("update", "Update a service.")
@service_argument
@click.option("--image", help="Service image tag.")
@click.option("--args", "arguments", type=COMMAND, help="Service command args.")
@add_and_remove("env", "an environment variable", "", ENV)
@add_and_remove("label", "a service label", " by its key", LABEL)
@add_and_remove("container-label", "a container label", " by its key", LABEL)
@add_and_remove("constraint", "a placement constraint", "", str)
@add_and_remove("publish", "a published port", " by its target port", PUBLISH, PUBLISH)
@add_and_remove("mount", "a mount", " by its target path", MOUNT)
@add_and_remove("secret", "a secret", " by its name", SECRET)
@add_and_remove("config", "a config", " by its name", CONFIG)
@update_lists
@click.option("--force", is_flag=True, help="Force update even if no changes require it.")
@click.option("--rollback", is_flag=True, help="Rollback to previous specification.")
@shared_flags
@click.pass_obj
def update(client: Client, /, service: str, **given: Any) -> None:
    if given["rollback"] and any(value for flag, value in given.items() if flag not in _WITH_ROLLBACK):
        raise click.ClickException("other flags may not be combined with --rollback")
    current = client.get(path_to("/services", service), {"insertDefaults": False})
    change_spec(current["Spec"], given)
    template = current["Spec"]["TaskTemplate"]
    change_references(client, template["ContainerSpec"], given)
    headers = auth_headers(template["ContainerSpec"]["Image"]) if given["with_registry_auth"] else {}
    resolve = given["image"] is not None and not given["no_resolve_image"]
    warning = pin_image(client, template, headers) if resolve else ""
    send_update(client, current, rollback=given["rollback"], headers=headers)
    if warning:
        click.echo(warning, err=True)
    click.echo(service)
    if not given["detach"]:
        wait_until_converged(client, service, quiet=given["quiet"])
