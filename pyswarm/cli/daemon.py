"""`pyswarm daemon`: everything a node does, in the foreground."""

import os
from pathlib import Path

import click

from pyswarm.cli.commands import command
from pyswarm.cli.host import DEFAULT_SOCKET
from pyswarm.cli.options import Choice

_LEVELS = Choice(["debug", "info", "warning", "error"])


@command("daemon", "Run the daemon in the foreground.")
@click.option("--state-dir", type=click.Path(path_type=Path), default="/var/lib/pyswarm", show_default=True)
@click.option("--socket", type=click.Path(path_type=Path), default=DEFAULT_SOCKET, show_default=True)
@click.option("--engine", default="unix:///var/run/docker.sock", show_default=True, help="The Docker Engine.")
@click.option("--listen-addr", default="", metavar="ADDR:PORT", help="Where a manager listens, over init's or join's.")
@click.option(
    "--generic-resource",
    multiple=True,
    metavar="KIND=NAME|NUMBER",
    help="What the node has for tasks to reserve, like gpu=UUID1 (each has a name) or ssd=3.",
)
@click.option("--metrics-addr", default="127.0.0.1:9377", show_default=True, help="Metrics; empty turns them off.")
@click.option("--log-format", type=Choice(["human", "json"]), default="human", show_default=True)
@click.option("--log-level", type=_LEVELS, default="info", show_default=True)
def daemon(
    state_dir: Path,
    socket: Path,
    engine: str,
    listen_addr: str,
    generic_resource: tuple[str, ...],
    metrics_addr: str,
    log_format: str,
    log_level: str,
) -> int:
    from pyswarm.cli.generic_resources import parse_generic_resources

    generic = parse_generic_resources(generic_resource)
    # Read when grpc is imported: it writes lines of its own to standard error, one for every failed handshake.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from pyswarm.node.daemon import DaemonConfig, run

    return run(DaemonConfig(state_dir, socket, engine, listen_addr, metrics_addr, log_format, log_level, generic))
