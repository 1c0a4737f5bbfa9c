"""The cluster: init, join, leave, update, join-token and their like; at the top level and under `swarm`."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from pyswarm.cli.client import Client
from pyswarm.cli.commands import Group, command
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import COUNT, DURATION, NUMBER, TRUTH, Choice
from pyswarm.cli.unlocking import print_unlock_key

STDIN = "-"
DEFAULT_LISTEN = "0.0.0.0:2377"
F = TypeVar("F", bound=Callable[..., Any])

swarm = Group(
    "swarm",
    {
        "ca": ("pyswarm.cli.authority", "authority", "Display and rotate the root certificate"),
        "init": (__name__, "init", "Initialize a cluster"),
        "join": (__name__, "join", "Join a cluster as a worker or manager"),
        "join-token": (__name__, "join_token", "Manage join tokens"),
        "leave": (__name__, "leave", "Leave the cluster"),
        "unlock": ("pyswarm.cli.unlocking", "unlock", "Unlock this manager"),
        "unlock-key": ("pyswarm.cli.unlocking", "unlock_key", "Manage the unlock key"),
        "update": (__name__, "update", "Update the cluster's settings"),
    },
    help="Manage the cluster.",
)

_SETTINGS = (
    ("dispatcher_heartbeat", DURATION, "Dispatcher", "HeartbeatPeriod", "Time between an agent's heartbeats (1s)."),
    ("cert_expiry", DURATION, "CAConfig", "NodeCertExpiry", "Validity of node certificates, at least 1h (2160h)."),
    ("task_history_limit", NUMBER, "Orchestration", "TaskHistoryRetentionLimit", "Tasks kept of every slot (5)."),
    ("snapshot_interval", COUNT, "Raft", "SnapshotInterval", "Log entries between snapshots."),
    ("max_snapshots", COUNT, "Raft", "KeepOldSnapshots", "Older snapshots that managers keep (0)."),
)

advertise_option = click.option(
    "--advertise-addr",
    default="",
    metavar="ADDR|IFACE[:PORT]",
    help="The address given to other nodes (default: the one of the only interface).",
)
listen_option = click.option("--listen-addr", default=DEFAULT_LISTEN, show_default=True, metavar="ADDR:PORT")
_availability = click.option(
    "--availability", type=Choice(["active", "pause", "drain"]), default="active", show_default=True
)


def _settings(function: F) -> F:
    for name, kind, _, _, text in reversed(_SETTINGS):
        function = click.option(f"--{name.replace('_', '-')}", type=kind, help=text)(function)
    return function


def with_settings(spec: Json, given: dict[str, Any]) -> Json:
    """`spec` with the settings that were given (not None)."""
    for name, _, section, field, _ in _SETTINGS:
        if given[name] is not None:
            spec.setdefault(section, {})[field] = given[name]
    return spec


@command("init", "Initialize a cluster: this node becomes its first manager.")
@advertise_option
@listen_option
@_availability
@click.option(
    "--force-new-cluster",
    is_flag=True,
    help="After the loss of the quorum for good: go on as the only manager, with all data and without the others.",
)
@click.option("--autolock", is_flag=True, help="Lock managers: after a restart they need the unlock key.")
@_settings
@click.pass_context
def init(
    ctx: click.Context,
    /,
    advertise_addr: str,
    listen_addr: str,
    availability: str,
    force_new_cluster: bool,
    autolock: bool,
    **settings: Any,
) -> None:
    kept = force_new_cluster and ctx.get_parameter_source("listen_addr") is ParameterSource.DEFAULT
    ensure_daemon(ctx.obj)
    node_id = ctx.obj.post(
        "/swarm/init",
        {
            "ListenAddr": "" if kept else listen_addr,
            "AdvertiseAddr": advertise_addr,
            "Availability": availability,
            "ForceNewCluster": force_new_cluster,
            "AutoLockManagers": autolock,
            "Spec": with_settings({"Labels": {}}, settings),
        },
    )
    click.echo(f"Swarm initialized: current node ({node_id}) is now a manager.\n")
    print_how_to_join(ctx.obj)
    if autolock:
        print_unlock_key(ctx.obj)


@command("join", "Join a cluster; the token decides whether as a worker or as a manager.")
@click.argument("remote", metavar="HOST:PORT")
@click.option(
    "--token",
    required=True,
    help="Token for entry into the cluster. With `-` it is read from standard input, and seen in no list of processes.",
)
@advertise_option
@listen_option
@_availability
@click.pass_obj
def join(client: Client, remote: str, token: str, advertise_addr: str, listen_addr: str, availability: str) -> None:
    secret = sys.stdin.readline().strip() if token == STDIN else token
    if not secret:
        raise click.ClickException("no token on standard input: write it there as one line")
    ensure_daemon(client)
    client.post(
        "/swarm/join",
        {
            "ListenAddr": listen_addr,
            "AdvertiseAddr": advertise_addr,
            "RemoteAddrs": [remote],
            "JoinToken": secret,
            "Availability": availability,
        },
    )
    role = "manager" if client.get("/info")["Swarm"]["ControlAvailable"] else "worker"
    click.echo(f"This node joined a swarm as a {role}.")


@command("leave", "Leave the cluster: this node's containers, relay and state are removed.")
@click.option("-f", "--force", is_flag=True, help="Leave even as a manager, which may cost the quorum.")
@click.pass_obj
def leave(client: Client, force: bool) -> None:
    client.post("/swarm/leave", query={"force": force})
    click.echo("Node left the swarm.")


@command("update", "Update the cluster's settings.")
@click.option(
    "--autolock",
    is_flag=False,
    flag_value="true",
    type=TRUTH,
    help="Lock managers, so that after a restart they need the unlock key, or do not.",
)
@_settings
@click.pass_context
def update(ctx: click.Context, /, autolock: bool | None, **settings: Any) -> None:
    if autolock is None and all(value is None for value in settings.values()):
        click.echo(ctx.get_help())
        return
    current = ctx.obj.get("/swarm")
    spec = with_settings(current["Spec"], settings)
    encryption = spec.setdefault("EncryptionConfig", {})
    was_locked = encryption.get("AutoLockManagers", False)
    if autolock is not None:
        encryption["AutoLockManagers"] = autolock
    ctx.obj.post("/swarm/update", spec, {"version": current["Version"]["Index"]})
    click.echo("Swarm updated.")
    if autolock and not was_locked:
        print_unlock_key(ctx.obj)


@command("join-token", "Show the command with which a node joins; --rotate makes older tokens useless.")
@click.argument("role", metavar="(worker|manager)", type=Choice(["worker", "manager"]))
@click.option("--rotate", is_flag=True, help="Rotate join token.")
@click.option("-q", "--quiet", is_flag=True, help="Only display token.")
@click.pass_obj
def join_token(client: Client, role: str, rotate: bool, quiet: bool) -> None:
    if rotate:
        current = client.get("/swarm")
        query = {"version": current["Version"]["Index"], f"rotate{role.capitalize()}Token": True}
        client.post("/swarm/update", current["Spec"], query)
        if not quiet:
            click.echo(f"Successfully rotated {role} join token.\n")
    if quiet:
        click.echo(_token(client, role))
    else:
        _print_join_command(client, role)


def _token(client: Client, role: str) -> str:
    return str(client.get("/swarm")["JoinTokens"][role.capitalize()])


def _print_join_command(client: Client, role: str) -> None:
    swarm = client.get("/info")["Swarm"]
    own = [manager["Addr"] for manager in swarm["RemoteManagers"] if manager["NodeID"] == swarm["NodeID"]]
    address = own[0] if own else swarm["NodeAddr"]
    click.echo(f"To add a {role} to this swarm, run the following command:\n")
    click.echo(f"    pyswarm join --token {_token(client, role)} {address}\n")


def print_how_to_join(client: Client) -> None:
    _print_join_command(client, "worker")
    click.echo("To add a manager to this swarm, run 'pyswarm join-token manager' and follow the instructions.")


def ensure_daemon(client: Client) -> None:
    """Starts the daemon if none answers: on a fresh machine `init` or `join` is the first thing that is typed."""
    if not client.is_up():
        from pyswarm.node.launch import start_daemon

        start_daemon(client.socket_path, client.is_up)
