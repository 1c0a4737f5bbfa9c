"""`info` and `version`."""

import sys
from collections.abc import Iterator
from importlib.metadata import version as installed_version

import click

from core.clock import SECOND
from core.units import format_duration
from pyswarm.cli.client import Client
from pyswarm.cli.commands import Group, command
from pyswarm.cli.errors import CannotConnect
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import inspect_format_option
from pyswarm.cli.output import print_inspected
from pyswarm.cli.words import duration_in_words

system = Group(
    "system",
    {
        "events": ("pyswarm.cli.events", "events", "Show what happens in the cluster and on this node"),
        "info": (__name__, "info", "Show this node and its cluster"),
    },
    help="The whole: events, info.",
)


@command("info", "Show this node and its cluster.")
@inspect_format_option
@click.pass_obj
def info(client: Client, template: str) -> None:
    found = client.get("/info")
    if template:
        print_inspected([found], template)
        return
    click.echo("\n".join(_lines(found)))
    for warning in found.get("Warnings") or ():
        click.echo(warning, err=True)


def _lines(found: Json) -> Iterator[str]:
    """As Docker's, as far as they are about the cluster."""
    swarm = found["Swarm"]
    yield f"Name: {found.get('Name', '')}"
    yield f"Server Version: {found.get('ServerVersion', '')}"
    yield f"Swarm: {swarm['LocalNodeState']}"
    if swarm.get("NodeID"):
        yield f" NodeID: {swarm['NodeID']}"
        yield f" Is Manager: {str(swarm['ControlAvailable']).lower()}"
    if swarm.get("Cluster"):
        yield f" ClusterID: {swarm['Cluster']['ID']}"
        yield f" Managers: {swarm['Managers']}"
        yield f" Nodes: {swarm['Nodes']}"
        yield from _settings(swarm["Cluster"]["Spec"])
        yield f" Root Rotation In Progress: {str(swarm['Cluster']['RootRotationInProgress']).lower()}"
    if swarm.get("Error"):
        yield f" Error: {swarm['Error']}"
    if swarm.get("NodeAddr"):
        yield f" Node Address: {swarm['NodeAddr']}"
    if managers := swarm.get("RemoteManagers"):
        yield " Manager Addresses:"
        yield from sorted(f"  {manager['Addr']}" for manager in managers)


def _settings(spec: Json) -> Iterator[str]:
    yield " Orchestration:"
    yield f"  Task History Retention Limit: {spec['Orchestration']['TaskHistoryRetentionLimit']}"
    yield " Raft:"
    yield f"  Snapshot Interval: {spec['Raft']['SnapshotInterval']}"
    yield " Dispatcher:"
    yield f"  Heartbeat Period: {_period(spec['Dispatcher']['HeartbeatPeriod'])}"
    yield " CA Configuration:"
    yield f"  Expiry Duration: {_period(spec['CAConfig']['NodeCertExpiry'])}"
    yield f"  Force Rotate: {spec['CAConfig'].get('ForceRotate', 0)}"
    yield f" Autolock Managers: {str(spec['EncryptionConfig']['AutoLockManagers']).lower()}"


def _period(nanoseconds: int) -> str:
    """In Docker's words, but for what these have none: parts of a second."""
    if nanoseconds % SECOND:
        return format_duration(nanoseconds)
    return duration_in_words(nanoseconds / SECOND).lower()


@command("version", "Show the versions of the command and the daemon.")
@inspect_format_option
@click.pass_obj
def version(client: Client, template: str) -> None:
    own = {"Version": installed_version("pyswarm-orchestrator"), "Python": sys.version.split()[0]}
    try:
        server = client.get("/version")
    except CannotConnect:
        server = None
    if template:
        print_inspected([{"Client": own, "Server": server}], template)
        return
    click.echo(f"Client:\n Version: {own['Version']}\n Python:  {own['Python']}")
    if server is not None:
        click.echo(f"\nServer:\n Version:     {server['Version']}\n API version: {server['ApiVersion']}")
