"""`service update`: the current spec, changed by the flags, sent back with the version that was read."""

from collections.abc import Callable
from typing import Any

import click

from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import command
from pyswarm.cli.options import COMMAND, ENV, LABEL, MOUNT, PUBLISH
from pyswarm.cli.service.change import change_spec
from pyswarm.cli.service.dependencies import CONFIG, SECRET, change_references
from pyswarm.cli.service.flags import service_argument, shared_flags
from pyswarm.cli.service.progress import wait_until_converged
from pyswarm.cli.service.send import send_update

_WITH_ROLLBACK = frozenset({"rollback", "detach", "quiet"})


def _list_flags(name: str, what: str, remove_by: str, add: Any, remove: Any = None) -> Callable[[Any], Any]:
    """`--NAME-add` and `--NAME-rm`."""

    def decorate(function: Any) -> Any:
        function = click.option(f"--{name}-rm", multiple=True, type=remove, help=f"Remove {what}{remove_by}.")(function)
        return click.option(f"--{name}-add", multiple=True, type=add, help=f"Add or update {what}.")(function)

    return decorate


@command("update", "Update a service.")
@service_argument
@click.option("--image", help="Service image tag.")
@click.option("--args", "arguments", type=COMMAND, help="Service command args.")
@_list_flags("env", "an environment variable", "", ENV)
@_list_flags("label", "a service label", " by its key", LABEL)
@_list_flags("container-label", "a container label", " by its key", LABEL)
@_list_flags("constraint", "a placement constraint", "", str)
@_list_flags("publish", "a published port", " by its target port", PUBLISH, PUBLISH)
@_list_flags("mount", "a mount", " by its target path", MOUNT)
@_list_flags("secret", "a secret", " by its name", SECRET)
@_list_flags("config", "a config", " by its name", CONFIG)
@click.option("--force", is_flag=True, help="Force update even if no changes require it.")
@click.option("--rollback", is_flag=True, help="Rollback to previous specification.")
@shared_flags
@click.pass_obj
def update(client: Client, /, service: str, **given: Any) -> None:
    if given["rollback"] and any(value for flag, value in given.items() if flag not in _WITH_ROLLBACK):
        raise click.ClickException("other flags may not be combined with --rollback")
    current = client.get(path_to("/services", service), {"insertDefaults": False})
    change_spec(current["Spec"], given)
    change_references(client, current["Spec"]["TaskTemplate"]["ContainerSpec"], given)
    send_update(client, current, rollback=given["rollback"])
    click.echo(service)
    if not given["detach"]:
        wait_until_converged(client, service, quiet=given["quiet"])
