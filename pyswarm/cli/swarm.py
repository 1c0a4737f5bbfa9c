"""The cluster: init, join, leave, update, join-token; at the top level and under `swarm`."""

import sys

import click

from pyswarm.cli.client import Client, Json
from pyswarm.cli.options import DURATION

AVAILABILITY = click.Choice(["active", "pause", "drain"])
STDIN = "-"
DEFAULT_LISTEN = "0.0.0.0:2377"

_advertise = click.option(
    "--advertise-addr",
    default="",
    metavar="ADDR|IFACE[:PORT]",
    help="The address given to other nodes (default: the one of the only interface).",
)
_listen = click.option("--listen-addr", default=DEFAULT_LISTEN, show_default=True, metavar="ADDR:PORT")
_availability = click.option("--availability", type=AVAILABILITY, default="active", show_default=True)


@click.group("swarm", help="Manage the cluster.")
def swarm() -> None:
    pass


def _settings(command: click.Command) -> click.Command:
    for option in (
        click.Option(["--dispatcher-heartbeat"], type=DURATION, help="Time between an agent's heartbeats."),
        click.Option(["--cert-expiry"], type=DURATION, help="Validity of node certificates, at least 1h."),
        click.Option(["--task-history-limit"], type=int, help="Task objects kept per slot; negative keeps all."),
        click.Option(["--snapshot-interval"], type=click.IntRange(1), help="Log entries between snapshots."),
    ):
        command.params.append(option)
    return command


def _with_settings(spec: Json, settings: dict[str, int | None]) -> Json:
    for option, section, field in (
        ("dispatcher_heartbeat", "Dispatcher", "HeartbeatPeriod"),
        ("cert_expiry", "CAConfig", "NodeCertExpiry"),
        ("task_history_limit", "Orchestration", "TaskHistoryRetentionLimit"),
        ("snapshot_interval", "Raft", "SnapshotInterval"),
    ):
        if settings.get(option) is not None:
            spec.setdefault(section, {})[field] = settings[option]
    return spec


@swarm.command(help="Initialize a cluster: this node becomes its first manager.")
@_advertise
@_listen
@_availability
@click.pass_obj
def init(client: Client, /, advertise_addr: str, listen_addr: str, availability: str, **settings: int | None) -> None:
    _ensure_daemon(client)
    node_id = client.post(
        "/swarm/init",
        {
            "ListenAddr": listen_addr,
            "AdvertiseAddr": advertise_addr,
            "Availability": availability,
            "Spec": _with_settings({"Labels": {}}, settings),
        },
    )
    click.echo(f"Swarm initialized: current node ({node_id}) is now a manager.\n")
    click.echo(f"To add a worker to this swarm, run the following command:\n\n{_join_command(client, 'Worker')}\n")
    click.echo("To add a manager to this swarm, run 'pyswarm join-token manager' and follow the instructions.\n")


@swarm.command(help="Join a cluster; the token decides whether as a worker or as a manager.")
@click.argument("remote", metavar="HOST:PORT")
@click.option("--token", required=True, help="Token for entry into the cluster; `-` reads it from standard input.")
@_advertise
@_listen
@_availability
@click.pass_obj
def join(client: Client, remote: str, token: str, advertise_addr: str, listen_addr: str, availability: str) -> None:
    _ensure_daemon(client)
    client.post(
        "/swarm/join",
        {
            "ListenAddr": listen_addr,
            "AdvertiseAddr": advertise_addr,
            "RemoteAddrs": [remote],
            "JoinToken": sys.stdin.readline().strip() if token == STDIN else token,
            "Availability": availability,
        },
    )
    role = "manager" if client.get("/info")["Swarm"]["ControlAvailable"] else "worker"
    click.echo(f"This node joined a swarm as a {role}.")


@swarm.command(help="Leave the cluster: this node's containers, relay and state are removed.")
@click.option("-f", "--force", is_flag=True, help="Leave even as a manager, which may cost the quorum.")
@click.pass_obj
def leave(client: Client, force: bool) -> None:
    client.post("/swarm/leave", query={"force": force})
    click.echo("Node left the swarm.")


@swarm.command(help="Update the cluster's settings.")
@click.pass_obj
def update(client: Client, /, **settings: int | None) -> None:
    if all(value is None for value in settings.values()):
        raise click.UsageError("give at least one setting to change; see `pyswarm update --help`")
    current = client.get("/swarm")
    spec = _with_settings(current["Spec"], settings)
    client.post("/swarm/update", spec, {"version": current["Version"]["Index"]})
    click.echo("Swarm updated.")


@swarm.command("join-token", help="Show the command with which a node joins; --rotate makes older tokens useless.")
@click.argument("role", type=click.Choice(["worker", "manager"]))
@click.option("--rotate", is_flag=True, help="Replace the token.")
@click.option("-q", "--quiet", is_flag=True, help="Only show the token.")
@click.pass_obj
def join_token(client: Client, role: str, rotate: bool, quiet: bool) -> None:
    kind = role.capitalize()
    if rotate:
        current = client.get("/swarm")
        query = {"version": current["Version"]["Index"], f"rotate{kind}Token": True}
        client.post("/swarm/update", current["Spec"], query)
        if not quiet:
            click.echo(f"Successfully rotated {role} join token.\n")
    if quiet:
        click.echo(client.get("/swarm")["JoinTokens"][kind])
        return
    click.echo(f"To add a {role} to this swarm, run the following command:\n\n{_join_command(client, kind)}\n")


_settings(init)
_settings(update)


def _join_command(client: Client, kind: str) -> str:
    token = client.get("/swarm")["JoinTokens"][kind]
    info = client.get("/info")["Swarm"]
    own = [manager["Addr"] for manager in info["RemoteManagers"] if manager["NodeID"] == info["NodeID"]]
    return f"    pyswarm join --token {token} {own[0] if own else info['NodeAddr']}"


def _ensure_daemon(client: Client) -> None:
    """Starts the daemon if none answers: on a fresh machine `init` or `join` is the first thing that is typed."""
    if not client.is_up():
        from pyswarm.node.launch import start_daemon

        start_daemon(client.socket_path, client.is_up)

