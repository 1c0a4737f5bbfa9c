"""`node update`, `promote`, `demote` and `rm`."""

from collections.abc import Callable

import click

from core.errors import OutOfSequence
from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import command, fail_if, for_each
from pyswarm.cli.completion import complete_nodes
from pyswarm.cli.errors import ApiError
from pyswarm.cli.json_types import Json
from pyswarm.cli.node.reference import nodes_argument, resolve
from pyswarm.cli.options import LABEL, Choice, mapping

_ATTEMPTS = 10


@command("update", "Update a node.")
@click.argument("reference", metavar="NODE", shell_complete=complete_nodes)
@click.option("--availability", type=Choice(["active", "pause", "drain"]), help="Availability of the node.")
@click.option("--role", type=Choice(["worker", "manager"]), help="Role of the node.")
@click.option("--label-add", multiple=True, type=LABEL, help="Add or update a node label, like key=value.")
@click.option("--label-rm", multiple=True, help="Remove a node label if it exists.")
@click.pass_obj
def update(
    client: Client,
    reference: str,
    availability: str | None,
    role: str | None,
    label_add: tuple[str, ...],
    label_rm: tuple[str, ...],
) -> None:
    def change(found: Json) -> bool:
        spec = found["Spec"]
        spec["Labels"] = change_labels(spec.get("Labels") or {}, label_add, label_rm, "node")
        spec["Availability"] = availability or spec["Availability"]
        spec["Role"] = role or spec["Role"]
        return True

    _change(client, reference, change)
    click.echo(reference)


def change_labels(labels: dict[str, str], add: tuple[str, ...], remove: tuple[str, ...], noun: str) -> dict[str, str]:
    """Raises click.ClickException for one to remove that is not there."""
    changed = {**labels, **mapping(add)}
    for key in remove:
        if key not in changed:
            raise click.ClickException(f"key {key} doesn't exist in {noun}'s labels")
        del changed[key]
    return changed


@command("promote", "Promote one or more nodes to manager.")
@nodes_argument
@click.pass_obj
def promote(client: Client, references: tuple[str, ...]) -> None:
    for reference in references:
        if _set_role(client, reference, "manager"):
            click.echo(f"Node {reference} promoted to a manager in the swarm.")


@command("demote", "Demote one or more managers to worker.")
@nodes_argument
@click.pass_obj
def demote(client: Client, references: tuple[str, ...]) -> None:
    for reference in references:
        if _set_role(client, reference, "worker"):
            click.echo(f"Manager {reference} demoted in the swarm.")


@command("rm", "Remove one or more nodes from the cluster.")
@nodes_argument
@click.option("-f", "--force", is_flag=True, help="Remove a node even if it is up.")
@click.pass_obj
def remove(client: Client, references: tuple[str, ...], force: bool) -> None:
    def delete(reference: str) -> None:
        client.delete(path_to("/nodes", resolve(client, reference)), {"force": force})
        click.echo(reference)

    fail_if(for_each(references, delete))


def _set_role(client: Client, reference: str, role: str) -> bool:
    """Whether it had another."""

    def change(found: Json) -> bool:
        if found["Spec"]["Role"] == role:
            click.echo(f"Node {found['ID']} is already a {role}.")
            return False
        found["Spec"]["Role"] = role
        return True

    return _change(client, reference, change)


def _change(client: Client, reference: str, change: Callable[[Json], bool]) -> bool:
    """A node's version also grows with what the cluster notes of it, just after a change of role for one: then `change`
    is asked again, of the node as it is by then."""
    for attempts_left in reversed(range(_ATTEMPTS)):
        found = client.get(path_to("/nodes", resolve(client, reference)))
        if not change(found):
            return False
        try:
            client.post(f"/nodes/{found['ID']}/update", found["Spec"], {"version": found["Version"]["Index"]})
            break
        except ApiError as error:
            if attempts_left == 0 or OutOfSequence().message not in error.message:
                raise
    return True
