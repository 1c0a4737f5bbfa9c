"""Autolock: `unlock` and `unlock-key`."""

import sys

import click

from pyswarm.cli.client import Client
from pyswarm.cli.commands import command


@command("unlock", "Unlock this manager, which waits for the unlock key since it was restarted.")
@click.pass_obj
def unlock(client: Client) -> None:
    state = client.get("/info")["Swarm"]["LocalNodeState"]
    if state == "inactive":
        raise click.ClickException("Error: This node is not part of a swarm")
    if state != "locked":
        raise click.ClickException("Error: swarm is not locked")
    client.post("/swarm/unlock", {"UnlockKey": ask_unlock_key()})


@command("unlock-key", "Show the key that managers need after a restart; --rotate makes older ones useless.")
@click.option("--rotate", is_flag=True, help="Rotate unlock key.")
@click.option("-q", "--quiet", is_flag=True, help="Only display the key.")
@click.pass_obj
def unlock_key(client: Client, rotate: bool, quiet: bool) -> None:
    if rotate:
        current = client.get("/swarm")
        if not current["Spec"]["EncryptionConfig"]["AutoLockManagers"]:
            raise click.ClickException(
                "cannot rotate because autolock is not turned on; `pyswarm update --autolock` turns it on"
            )
        query = {"version": current["Version"]["Index"], "rotateManagerUnlockKey": True}
        client.post("/swarm/update", current["Spec"], query)
        if not quiet:
            click.echo("Successfully rotated manager unlock key.\n")
    if quiet:
        click.echo(_unlock_key(client))
    else:
        print_unlock_key(client)


def print_unlock_key(client: Client) -> None:
    click.echo("To unlock a swarm manager after it restarts, run the `pyswarm unlock`")
    click.echo("command and provide the following key:\n")
    click.echo(f"    {_unlock_key(client)}\n")
    click.echo("Remember to store this key in a password manager, since without it you")
    click.echo("will not be able to restart the manager.")


def ask_unlock_key() -> str:
    """On the terminal, or one line of standard input: it is seen in no list of processes.

    Raises click.ClickException if there is none.
    """
    if sys.stdin.isatty():
        return str(click.prompt("Enter unlock key", hide_input=True, err=True))
    key = sys.stdin.readline().strip()
    if not key:
        raise click.ClickException("no unlock key on standard input: write it there as one line")
    return key


def _unlock_key(client: Client) -> str:
    key = str(client.get("/swarm/unlockkey")["UnlockKey"])
    if not key:
        raise click.ClickException("no unlock key is set: managers are not locked")
    return key
