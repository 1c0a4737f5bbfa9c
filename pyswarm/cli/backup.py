"""`backup` and `restore`: the whole state of the cluster in one file, sealed by the daemon with a passphrase.

A passphrase and not a generated key: there is one secret to keep, nothing secret is ever printed, and a job at night
takes it from a file as a person types it.
"""

import base64
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import click

from core.files import sync_folder
from pyswarm.cli.client import Client
from pyswarm.cli.commands import command
from pyswarm.cli.files import read_text
from pyswarm.cli.swarm import STDIN, advertise_option, ensure_daemon, listen_option, print_how_to_join

_HEADER = "X-Pyswarm-Passphrase"

_passphrase_option = click.option(
    "--passphrase-file",
    default="",
    metavar="FILE",
    help="Its first line is the passphrase; `-` is standard input. Without it the passphrase is asked for.",
)


@command("backup", "Write the whole state of the cluster, with its keys, to FILE, sealed with a passphrase.")
@click.argument("file", type=click.Path(path_type=Path))
@_passphrase_option
@click.option("-f", "--force", is_flag=True, help="Replace FILE if it is there.")
@click.pass_obj
def backup(client: Client, file: Path, passphrase_file: str, force: bool) -> None:
    _check_free(file, force)
    headers = _headers(_passphrase(passphrase_file, twice=True))
    try:
        size = write_whole(file, client.stream("/pyswarm/backup", headers=headers), force)
    except OSError as error:
        raise click.ClickException(f"cannot write {file}: {error.strerror or error}") from None
    click.echo(f"Backup of {size} bytes written to {file}. Without its passphrase it can not be restored.")


@command("restore", "Start a cluster out of the backup FILE: this node becomes its only manager.")
@click.argument("file", type=click.Path(path_type=Path))
@_passphrase_option
@advertise_option
@listen_option
@click.pass_obj
def restore(client: Client, file: Path, passphrase_file: str, advertise_addr: str, listen_addr: str) -> None:
    try:
        opened = file.open("rb")
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror}") from None
    with opened:
        headers = _headers(_passphrase(passphrase_file, twice=False))
        ensure_daemon(client)
        query = {"advertiseAddr": advertise_addr, "listenAddr": listen_addr}
        node_id = client.upload("/pyswarm/restore", opened, query, headers)
    click.echo(f"Swarm restored: current node ({node_id}) is now its only manager.\n")
    print_how_to_join(client)


def write_whole(file: Path, pieces: Iterable[bytes], force: bool) -> int:
    """The bytes written: all of `pieces`, readable by the owner only, or nothing at all. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as written:
            for piece in pieces:
                written.write(piece)
            written.flush()
            os.fsync(written.fileno())
            size = written.tell()
        if not force:
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_folder(file.parent)
    return size


def _check_free(file: Path, force: bool) -> None:
    if file.exists() and not force:
        raise click.ClickException(f"{file} is there already: give another name, or replace it with --force")


def _passphrase(source: str, twice: bool) -> str:
    if source == STDIN:
        text = sys.stdin.readline()
    elif source:
        text = read_text(Path(source), "the passphrase").partition("\n")[0]
    elif sys.stdin.isatty():
        text = click.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True)
    else:
        raise click.ClickException("no terminal to ask for the passphrase: give --passphrase-file FILE, or `-`")
    return text.rstrip("\r\n")


def _headers(passphrase: str) -> dict[str, str]:
    return {_HEADER: base64.b64encode(passphrase.encode()).decode()}
