"""`node inspect`, and its --pretty."""

from collections.abc import Iterator

import click

from core.units import format_size
from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import command
from pyswarm.cli.completion import complete_nodes
from pyswarm.cli.inspect import inspect_each
from pyswarm.cli.json_types import Json
from pyswarm.cli.node.reference import resolve
from pyswarm.cli.options import inspect_format_option, pretty_option
from pyswarm.cli.words import capitalised, go_time


@command("inspect", "Display detailed information on one or more nodes.")
@click.argument("references", metavar="self|NODE [NODE...]", nargs=-1, required=True, shell_complete=complete_nodes)
@pretty_option
@inspect_format_option
@click.pass_obj
def inspect(client: Client, references: tuple[str, ...], pretty: bool, template: str) -> None:
    def get(reference: str) -> Json:
        return client.get(path_to("/nodes", resolve(client, reference)))

    inspect_each(references, get, template, pretty_node if pretty else None)


def pretty_node(found: Json) -> Iterator[str]:
    """Lines. Blanks and tabs are Docker's."""
    description = found.get("Description") or {}
    status = found["Status"]
    yield f"ID:\t\t\t{found['ID']}"
    if found["Spec"].get("Name"):
        yield f"Name:\t\t\t{found['Spec']['Name']}"
    yield from _labels("Labels:", found["Spec"].get("Labels"))
    yield f"Hostname:              \t{description.get('Hostname', '')}"
    yield f"Joined at:             \t{go_time(found['CreatedAt']).lower()}"
    yield "Status:"
    yield f" State:\t\t\t{capitalised(status['State'])}"
    if status.get("Message"):
        yield f" Message:              \t{capitalised(status['Message'])}"
    yield f" Availability:         \t{capitalised(found['Spec']['Availability'])}"
    if status.get("Addr"):
        yield f" Address:\t\t{status['Addr']}"
    if manager := found.get("ManagerStatus"):
        yield "Manager Status:"
        yield f" Address:\t\t{manager.get('Addr', '')}"
        yield f" Raft Status:\t\t{capitalised(manager.get('Reachability', ''))}"
        yield f" Leader:\t\t{'Yes' if manager.get('Leader') else 'No'}"
    yield from _machine(description)
    yield from _engine(description.get("Engine") or {})
    if tls := description.get("TLSInfo"):
        yield f"TLS Info:\n TrustRoot:\n{tls['TrustRoot']}"
        yield f" Issuer Subject:\t{tls['CertIssuerSubject']}"
        yield f" Issuer Public Key:\t{tls['CertIssuerPublicKey']}"


def _machine(description: Json) -> Iterator[str]:
    platform = description.get("Platform") or {}
    resources = description.get("Resources") or {}
    memory = resources.get("MemoryBytes")
    yield "Platform:"
    yield f" Operating System:\t{platform.get('OS', '')}"
    yield f" Architecture:\t\t{platform.get('Architecture', '')}"
    yield "Resources:"
    yield f" CPUs:\t\t\t{resources.get('NanoCPUs', 0) // 10**9}"
    yield f" Memory:\t\t{format_size(memory) if memory else ''}"


def _engine(engine: Json) -> Iterator[str]:
    plugins: dict[str, list[str]] = {}
    for plugin in engine.get("Plugins") or ():
        plugins.setdefault(plugin["Type"], []).append(plugin["Name"])
    if plugins:
        yield "Plugins:"
        yield from (f" {kind}:\t\t{', '.join(names)}" for kind, names in sorted(plugins.items()))
    yield f"Engine Version:\t\t{engine.get('EngineVersion', '')}"
    yield from _labels("Engine Labels:", engine.get("Labels"))


def _labels(heading: str, labels: Json) -> Iterator[str]:
    if labels:
        yield heading
        yield from (f" - {key}={value}" if value else f" - {key}" for key, value in sorted(labels.items()))
