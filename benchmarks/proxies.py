"""The ways to a server that benchmarks compare: relays of ours, and HAProxy as their peer."""

import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from benchmarks.traffic import Address
from core.clock import SECOND
from core.model import Backend, IngressState, PublishedPort, Role
from identity.credentials import Credentials
from identity.keys import new_key_and_csr
from identity.model import NodeIdentity
from identity.root import create_root, issue
from ingress.client import RelayPorts
from ingress.control import Settings

ENTRY, EXIT = "127.0.0.2", "127.0.0.3"
"""Two "nodes" on this machine; the server is a task of the second."""
HAPROXY = """
global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
"""


def certificates() -> tuple[Credentials, Credentials]:
    """For two nodes of one cluster."""
    now = time.time_ns()
    root, root_key = create_root(now)

    def credentials(node_id: str) -> Credentials:
        key, csr = new_key_and_csr()
        identity = NodeIdentity(node_id, Role.WORKER, "cluster")
        return Credentials(key, issue(root, root_key, csr, identity, now, 3600 * SECOND), root)

    return credentials("entry"), credentials("exit")


@asynccontextmanager
async def relay_pair(folder: Path, target: Address) -> AsyncIterator[tuple[Address, Address, list[int]]]:
    """Where the task's own node and the other node serve it, and the processes (the own node's first)."""
    entry, exit_ = certificates()
    relay_port, port = free_port(), free_port()
    nodes = [
        RelayPorts(folder / f"{address}.sock", credentials, Settings(address, address, relay_port))
        for address, credentials in ((EXIT, exit_), (ENTRY, entry))
    ]
    backend = Backend("task", "exit", EXIT, *target)
    state = IngressState(1, (PublishedPort("service", published_port=port, backends=(backend,)),), ("entry", "exit"))
    try:
        for node in nodes:
            await node.start()
            await node.apply(state)
        yield (EXIT, port), (ENTRY, port), [int((await node.stats())["pid"]) for node in nodes]
    finally:
        for node in nodes:
            await node.stop(kill=True)


@contextmanager
def haproxy_plain(folder: Path, target: Address) -> Iterator[tuple[Address, list[int]]]:
    port = free_port()
    with _haproxy(folder, _section("one", f"{ENTRY}:{port}", f"{target[0]}:{target[1]}"), (ENTRY, port)) as pid:
        yield (ENTRY, port), [pid]


@contextmanager
def haproxy_pair(folder: Path, target: Address) -> Iterator[tuple[Address, list[int]]]:
    """One on each node, with a new connection under mutual TLS between them for every client's."""
    for name, credentials in zip(("entry", "exit"), certificates(), strict=True):
        bundle = credentials.bundle
        (folder / f"{name}.pem").write_bytes(bundle.certificate + bundle.key)
        (folder / f"{name}-root.pem").write_bytes(bundle.root)
    inner, outer = free_port(), free_port()
    tls = "ssl verify required crt {0}/{1}.pem ca-file {0}/{1}-root.pem"
    exit_ = _section("exit", f"{EXIT}:{inner} {tls.format(folder, 'exit')}", f"{target[0]}:{target[1]}")
    entry = _section("entry", f"{ENTRY}:{outer}", f"{EXIT}:{inner} {tls.format(folder, 'entry')}")
    with _haproxy(folder, exit_, (EXIT, inner)) as second, _haproxy(folder, entry, (ENTRY, outer)) as first:
        yield (ENTRY, outer), [first, second]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _section(name: str, bind: str, to: str) -> str:
    return f"listen {name}\n  bind {bind}\n  server task {to}\n"


@contextmanager
def _haproxy(folder: Path, section: str, address: Address) -> Iterator[int]:
    file = folder / f"{address[1]}.cfg"
    file.write_text(HAPROXY + section)
    process = subprocess.Popen(["haproxy", "-db", "-f", str(file)], stderr=subprocess.DEVNULL)
    try:
        while socket.socket().connect_ex(address):
            if process.poll() is not None:
                raise RuntimeError(f"haproxy does not start with {file.read_text()}")
            os.sched_yield()
        yield process.pid
    finally:
        process.terminate()
        process.wait()
