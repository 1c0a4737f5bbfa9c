"""`info` and `version`."""

import sys
from importlib.metadata import version as installed_version

import click

from pyswarm.cli.client import Client
from pyswarm.cli.commands import command
from pyswarm.cli.errors import CannotConnect
from pyswarm.cli.options import inspect_format_option
from pyswarm.cli.output import print_inspected


@command("info", "Show this node and its cluster.")
@inspect_format_option
@click.pass_obj
def info(client: Client, template: str) -> None:
    found = client.get("/info")
    if template:
        print_inspected([found], template)
        return
    swarm = found["Swarm"]
    lines = [f"Name: {found.get('Name', '')}", f"Server Version: {found.get('ServerVersion', '')}"]
    lines.append(f"Swarm: {swarm['LocalNodeState']}")
    if swarm.get("NodeID"):
        lines += [f" NodeID: {swarm['NodeID']}", f" Is Manager: {str(swarm['ControlAvailable']).lower()}"]
    if swarm.get("Cluster"):
        lines += [
            f" ClusterID: {swarm['Cluster']['ID']}",
            f" Managers: {swarm['Managers']}",
            f" Nodes: {swarm['Nodes']}",
        ]
    if swarm.get("Error"):
        lines.append(f" Error: {swarm['Error']}")
    if swarm.get("NodeAddr"):
        lines.append(f" Node Address: {swarm['NodeAddr']}")
    managers = sorted(manager["Addr"] for manager in swarm.get("RemoteManagers") or [])
    lines += [" Manager Addresses:", *(f"  {address}" for address in managers)] if managers else []
    click.echo("\n".join(lines))


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
