"""Clients of a replicated log, in a process of their own: the same for ours and for etcd, over gRPC with mutual TLS."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import grpc
import uvloop

from core.errors import Unavailable
from core.interpreter import tune_interpreter
from identity.channels import secure_channel
from identity.model import PemBundle

VALUE_BYTES = 1024
_KEY_BYTES = 16
REQUEST_BYTES = 2 + _KEY_BYTES + 3 + VALUE_BYTES
_KEYS = 10_000
_TIMEOUT = 10.0

Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
Commit = tuple[float, float]
"""When it was asked for and when it was answered, in seconds of the monotonic clock."""


@dataclass(frozen=True)
class Door:
    """Where a member takes writes: etcd's PutRequest, whichever log it is."""

    addr: str
    method: str
    bundle: PemBundle
    server: str
    """A name in the server's certificate."""

    def channel(self) -> grpc.aio.Channel:
        credentials = grpc.ssl_channel_credentials(self.bundle.root, self.bundle.key, self.bundle.certificate)
        return secure_channel(self.addr, self.server, credentials)


def put_request(number: int) -> bytes:
    """PutRequest{bytes key = 1; bytes value = 2}, with a random value."""
    key = b"%0*d" % (_KEY_BYTES, number)
    return b"\x0a\x10" + key + b"\x12\x80\x08" + os.urandom(VALUE_BYTES)


def key_of(request: bytes) -> bytes:
    return request[2 : 2 + _KEY_BYTES]


class Load:
    """`clients` closed loops for so many seconds; they begin about half a second after this is made."""

    def __init__(self, door: Door, clients: int, seconds: float) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._results, theirs = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_run, args=(door, clients, seconds, theirs), daemon=True)
        self._process.start()
        theirs.close()

    async def commits(self) -> Sequence[Commit]:
        """Once all are done. Unavailable if one was refused: the leader has changed."""
        result: Sequence[Commit] | str = await asyncio.to_thread(self._results.recv)
        self._process.join()
        if isinstance(result, str):
            raise Unavailable(result)
        return result


def _run(door: Door, clients: int, seconds: float, results: Connection) -> None:
    tune_interpreter()
    try:
        results.send(uvloop.run(_load(door, clients, seconds)))
    except grpc.aio.AioRpcError as error:
        results.send(error.details())


async def _load(door: Door, clients: int, seconds: float) -> Sequence[Commit]:
    commits: list[Commit] = []
    async with door.channel() as channel:
        put: Call = channel.unary_unary(door.method)
        until = time.monotonic() + seconds

        async def client(number: int) -> None:
            while (begin := time.monotonic()) < until:
                await put(put_request(number % _KEYS), timeout=_TIMEOUT)
                commits.append((begin, time.monotonic()))
                number += clients

        await asyncio.gather(*map(client, range(clients)))
    return commits
