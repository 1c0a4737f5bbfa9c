"""`ca`: the cluster's root certificate, shown or replaced."""

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import click

from pyswarm.cli.client import Client
from pyswarm.cli.commands import command
from pyswarm.cli.files import read_text
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import DURATION

_LOOK = 0.2
"""Seconds between two looks at how far it is."""
_FILE = click.Path(path_type=Path)


@command("ca", "Display the root certificate, or rotate it: a new one takes its place without an interruption.")
@click.option("--rotate", is_flag=True, help="Rotate to a new root, or to the one that is given.")
@click.option("--ca-cert", type=_FILE, metavar="FILE", help="The root to rotate to: its certificate in PEM.")
@click.option("--ca-key", type=_FILE, metavar="FILE", help="Its private key in PEM.")
@click.option("--cert-expiry", type=DURATION, help="Validity of node certificates, at least 1h (2160h).")
@click.option("-d", "--detach", is_flag=True, help="Do not wait until all nodes have taken to the new root.")
@click.option("-q", "--quiet", is_flag=True, help="Suppress progress output.")
@click.pass_obj
def authority(client: Client, /, rotate: bool, detach: bool, quiet: bool, **given: Any) -> None:
    current = client.get("/swarm")
    if not rotate:
        for name, value in given.items():
            if value is not None:
                raise click.ClickException(
                    f"`--{name.replace('_', '-')}` flag requires the `--rotate` flag to update the CA"
                )
        click.echo(_trust_root(current), nl=False)
        return
    spec = _with_root(current["Spec"], given["ca_cert"], given["ca_key"])
    if given["cert_expiry"] is not None:
        spec["CAConfig"]["NodeCertExpiry"] = given["cert_expiry"]
    client.post("/swarm/update", spec, {"version": current["Version"]["Index"]})
    if not detach:
        _wait(client, quiet)
        if not quiet:
            click.echo(_trust_root(client.get("/swarm")), nl=False)


def _with_root(spec: Json, cert: Path | None, key: Path | None) -> Json:
    config = spec.setdefault("CAConfig", {})
    config["SigningCACert"] = read_text(cert) if cert is not None else ""
    config["SigningCAKey"] = read_text(key) if key is not None else ""
    if cert is None and key is None:
        config["ForceRotate"] = config.get("ForceRotate", 0) + 1
    return spec


def _wait(client: Client, quiet: bool) -> None:
    """Until no node needs the old root any more; says how far it is, over the last such lines on a terminal."""
    shown: list[str] = []
    while True:
        swarm = client.get("/swarm")
        lines, done = progress(swarm, client.get("/nodes"))
        if not quiet and lines != shown:
            if shown and sys.stdout.isatty():
                click.echo(f"\x1b[{len(shown)}A\x1b[J", nl=False)
            click.echo("\n".join(lines))
            shown = lines
        if done:
            return
        time.sleep(_LOOK)


def progress(swarm: Json, nodes: list[Json]) -> tuple[list[str], bool]:
    """How far the nodes are, in Docker's words, and whether all is done."""
    wanted, infos = swarm["TLSInfo"], [(node.get("Description") or {}).get("TLSInfo") or {} for node in nodes]
    issuer = ("CertIssuerSubject", "CertIssuerPublicKey")
    certified = sum(all(info.get(key) == wanted[key] for key in issuer) for info in infos)
    rotating = swarm["RootRotationInProgress"]
    trusting = 0 if rotating else sum(info.get("TrustRoot") == wanted["TrustRoot"] for info in infos)
    lines = [
        f"desired root digest: sha256:{hashlib.sha256(wanted['TrustRoot'].encode()).hexdigest()}",
        f"  rotated TLS certificates:  {certified}/{len(nodes)} nodes",
        f"  rotated CA certificates:  {trusting}/{len(nodes)} nodes",
    ]
    return lines, not rotating and certified == trusting == len(nodes)


def _trust_root(swarm: Json) -> str:
    return str(swarm["TLSInfo"]["TrustRoot"])
