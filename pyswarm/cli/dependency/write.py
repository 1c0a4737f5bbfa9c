"""`secret create`, `update` and `rm`, and the same of configs."""

import click

from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import Command, command, fail_if, for_each
from pyswarm.cli.dependency.arguments import one, read_data, several
from pyswarm.cli.json_types import Json
from pyswarm.cli.node.change import change_labels
from pyswarm.cli.options import LABEL, mapping


def _create(noun: str) -> Command:
    @command("create", f"Create a {noun} from FILE, or from standard input (-).")
    @click.argument("name", metavar=noun.upper())
    @click.argument("file", metavar="file|-")
    @click.option("-l", "--label", multiple=True, type=LABEL, help=f"Labels of the {noun}, like key=value.")
    @click.option("--template-driver", default="", help="The data is a template: golang.")
    @click.pass_obj
    def create(client: Client, name: str, file: str, label: tuple[str, ...], template_driver: str) -> None:
        spec: Json = {"Name": name, "Labels": mapping(label), "Data": read_data(file)}
        if template_driver:
            spec["Templating"] = {"Name": template_driver}
        click.echo(client.post(f"/{noun}s/create", spec)["ID"])

    return create


def _update(noun: str) -> Command:
    @command(
        "update",
        f"Give a {noun} new data, from FILE or from standard input (-): every service that uses it is updated, "
        "and can be rolled back. Or change its labels.",
    )
    @one(noun)
    @click.argument("file", metavar="[file|-]", required=False)
    @click.option("--label-add", multiple=True, type=LABEL, help="Add or update a label, like key=value.")
    @click.option("--label-rm", multiple=True, help="Remove a label if it exists.")
    @click.pass_obj
    def update(
        client: Client, name: str, file: str | None, label_add: tuple[str, ...], label_rm: tuple[str, ...]
    ) -> None:
        if file is None and not (label_add or label_rm):
            raise click.UsageError(f"nothing to change: give a file with the {noun}'s new data (- for standard input)")
        path = path_to(f"/{noun}s", name)
        if file is not None:
            path = f"/{noun}s/{client.post(f'/pyswarm{path}/versions', {'Data': read_data(file)})['ID']}"
        found = client.get(path)
        if label_add or label_rm:
            found["Spec"]["Labels"] = change_labels(found["Spec"].get("Labels") or {}, label_add, label_rm, noun)
            client.post(f"/{noun}s/{found['ID']}/update", found["Spec"], {"version": found["Version"]["Index"]})
        click.echo(found["ID"])

    return update


def _remove(noun: str) -> Command:
    @command("rm", f"Remove one or more {noun}s, with all versions.")
    @several(noun)
    @click.pass_obj
    def remove(client: Client, references: tuple[str, ...]) -> None:
        def delete(reference: str) -> None:
            client.delete(path_to(f"/{noun}s", reference))
            click.echo(reference)

        fail_if(for_each(references, delete))

    return remove


secret_create, config_create = _create("secret"), _create("config")
secret_update, config_update = _update("secret"), _update("config")
secret_rm, config_rm = _remove("secret"), _remove("config")
