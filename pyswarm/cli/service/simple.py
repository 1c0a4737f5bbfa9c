"""`service scale`, `rollback` and `rm`."""

import click

from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import command, fail_if, for_each
from pyswarm.cli.completion import complete_scale
from pyswarm.cli.errors import ApiError
from pyswarm.cli.service.flags import detach_option, quiet_progress_option, service_argument, services_argument
from pyswarm.cli.service.progress import wait_until_converged
from pyswarm.cli.service.send import send_update


@command("scale", "Scale one or multiple replicated services.")
@click.argument(
    "targets", metavar="SERVICE=REPLICAS [SERVICE=REPLICAS...]", nargs=-1, required=True, shell_complete=complete_scale
)
@detach_option
@click.pass_obj
def scale(client: Client, targets: tuple[str, ...], detach: bool) -> None:
    for target in targets:
        name, _, count = target.partition("=")
        if not (name and count):
            raise click.UsageError(f"invalid scale specifier '{target}': write it like web=3")
    scaled: list[str] = []

    def scale_one(target: str) -> None:
        name, _, count = target.partition("=")
        _scale(client, name, count)
        click.echo(f"{name} scaled to {int(count)}")
        scaled.append(name)

    errors = for_each(targets, scale_one)
    if not detach:
        errors += for_each(scaled, lambda name: wait_until_converged(client, name))
    fail_if(errors)


def _scale(client: Client, name: str, count: str) -> None:
    """Raises click.ClickException, with the service's name."""
    if not (count.isascii() and count.isdigit()):
        raise click.ClickException(f"{name}: invalid replicas value {count}: write it like {name}=3")
    try:
        current = client.get(path_to("/services", name), {"insertDefaults": False})
        mode = current["Spec"]["Mode"]
        if "Replicated" in mode:
            mode["Replicated"] = {"Replicas": int(count)}
        elif "ReplicatedJob" in mode:
            mode["ReplicatedJob"]["TotalCompletions"] = int(count)
        else:
            raise click.ClickException(f"{name}: scale can only be used with replicated or replicated-job mode")
        send_update(client, current)
    except ApiError as error:
        raise click.ClickException(f"{name}: {error.message}") from None


@command("rollback", "Revert changes to a service's configuration.")
@service_argument
@detach_option
@quiet_progress_option
@click.pass_obj
def rollback(client: Client, service: str, detach: bool, quiet: bool) -> None:
    current = client.get(path_to("/services", service), {"insertDefaults": False})
    send_update(client, current, rollback=True)
    click.echo(service)
    if not detach:
        wait_until_converged(client, service, quiet=quiet)


@command("rm", "Remove one or more services.")
@services_argument
@click.pass_obj
def remove(client: Client, services: tuple[str, ...]) -> None:
    def delete(service: str) -> None:
        client.delete(path_to("/services", service))
        click.echo(service)

    fail_if(for_each(services, delete))
