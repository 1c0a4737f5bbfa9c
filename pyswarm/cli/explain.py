"""`service explain`, `task explain` and `service create --dry-run`: what each node says."""

import json
from collections.abc import Iterator

import click

from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import Group, command
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import Choice
from pyswarm.cli.output import aligned
from pyswarm.cli.service.flags import service_argument

explain_format_option = click.option(
    "--format", "shown_as", type=Choice(["table", "json"]), default="table", show_default=True
)
_WILLING = "can take one"

task = Group(
    "task",
    {"explain": ("pyswarm.cli.explain", "explain_task", "Show why a task has no node, and what would change it")},
    help="Look at tasks.",
)


@command("explain", "Show what each node says to one more task of a service, or to those that wait.")
@service_argument
@explain_format_option
@click.pass_obj
def explain_service(client: Client, service: str, shown_as: str) -> None:
    print_explanation(client.get(path_to("/pyswarm/services", service) + "/explain"), shown_as)


@command("explain", "Show why a task has no node, and what would change it.")
@click.argument("task")
@explain_format_option
@click.pass_obj
def explain_task(client: Client, task: str, shown_as: str) -> None:
    print_explanation(client.get(path_to("/pyswarm/tasks", task) + "/explain"), shown_as)


def print_explanation(found: Json, shown_as: str = "table", planned: bool = False) -> None:
    """`planned`: it is of a dry run."""
    if shown_as == "json":
        click.echo(json.dumps(found, indent=4, ensure_ascii=False))
        return
    click.echo(found["Message"])
    if found["Nodes"]:
        click.echo()
        for line in aligned([("NODE", "TASKS", "VERDICT"), *_rows(found["Nodes"], planned)]):
            click.echo(line)


def _rows(nodes: Json, planned: bool) -> Iterator[tuple[str, str, str]]:
    """A line for each reason, the node's name on its first."""
    for node in nodes:
        number = node.get("Planned" if planned else "Tasks", 0)
        reasons = [reason for objection in node["Objections"] for reason in objection["Reasons"]]
        willing = f"gets {number}" if planned and number else _WILLING
        first, *rest = [*(reasons or [willing]), *filter(None, [node.get("Failures")])]
        yield node["Hostname"], str(number), first
        yield from (("", "", line) for line in rest)
