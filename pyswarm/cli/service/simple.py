"""`service scale`, `rollback` and `rm`."""

import click

from pyswarm.cli.client import ApiError, Client
from pyswarm.cli.service.progress import wait_until_converged

_detach = click.option("-d", "--detach", is_flag=True, help="Exit immediately instead of waiting.")


@click.command("scale", help="Scale one or more replicated services.")
@click.argument("targets", metavar="SERVICE=REPLICAS...", nargs=-1, required=True)
@_detach
@click.pass_obj
def scale(client: Client, targets: tuple[str, ...], detach: bool) -> None:
    wanted: list[tuple[str, int]] = []
    for target in targets:
        name, separator, count = target.partition("=")
        if not separator or not (count.isascii() and count.isdigit()):
            raise click.ClickException(f"invalid scale specifier {target!r}: write it like web=3")
        wanted.append((name, int(count)))
    scaled: list[str] = []
    for name, replicas in wanted:
        current = client.get(f"/services/{name}", {"insertDefaults": False})
        if "Replicated" not in current["Spec"]["Mode"]:
            raise click.ClickException(f"{name}: scale can only be used with replicated or replicated-job mode")
        current["Spec"]["Mode"]["Replicated"] = {"Replicas": replicas}
        client.post(f"/services/{current['ID']}/update", current["Spec"], {"version": current["Version"]["Index"]})
        click.echo(f"{name} scaled to {replicas}")
        scaled.append(current["ID"])
    if not detach:
        for service_id in scaled:
            wait_until_converged(client, service_id)


@click.command("rollback", help="Revert changes to a service's configuration.")
@click.argument("service")
@_detach
@click.option("-q", "--quiet", is_flag=True, help="Suppress progress output.")
@click.pass_obj
def rollback(client: Client, service: str, detach: bool, quiet: bool) -> None:
    current = client.get(f"/services/{service}", {"insertDefaults": False})
    query = {"version": current["Version"]["Index"], "rollback": "previous"}
    client.post(f"/services/{current['ID']}/update", current["Spec"], query)
    click.echo(service)
    if not detach:
        wait_until_converged(client, current["ID"], quiet=quiet)


@click.command("rm", help="Remove one or more services.")
@click.argument("services", metavar="SERVICE...", nargs=-1, required=True)
@click.pass_obj
def remove(client: Client, services: tuple[str, ...]) -> None:
    failures: list[ApiError] = []
    for service in services:
        try:
            client.delete(f"/services/{service}")
            click.echo(service)
        except ApiError as error:
            failures.append(error)
    for failure in failures[:-1]:
        click.echo(f"Error response from daemon: {failure.message}", err=True)
    if failures:
        raise failures[-1]
