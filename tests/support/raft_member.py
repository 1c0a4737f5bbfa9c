"""A member of a log as a process of its own: `python -m tests.support.raft_member FILE`, where FILE holds a `Settings`.

It counts what it is told (see `Tally`) and answers on a unix socket: one JSON object a line, in order of asking.
"""

import asyncio
import base64
import json
import os
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from core.errors import PyswarmError
from tests.support.disks import Disk, Platter

if TYPE_CHECKING:
    from raft import RaftNode

LINE_LIMIT = 64 << 20
_CHUNK = 1 << 20
_WRITER_BITS = 40


@dataclass(frozen=True)
class Settings:
    folder: str
    socket: str
    addr: str
    key: str
    certificate: str
    root: str
    join: str
    """The address of a member; empty for the first of all."""
    timing: dict[str, int]
    platter: str = ""
    """Where to keep what is synced; empty for the machine's own disk."""
    dies: str = ""
    """Where it kills itself, one of the places in `tests.support.disks`; empty for nowhere."""

    def save(self, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(descriptor, json.dumps(asdict(self)).encode())
        os.close(descriptor)

    @classmethod
    def load(cls, path: Path) -> "Settings":
        return cls(**json.loads(path.read_text()))


class Tally:
    """A state machine: the numbers that each writer wrote, in the log's order, and each one's latest."""

    def __init__(self) -> None:
        self.applied = array("Q")
        self.latest: dict[int, int] = {}

    def apply(self, index: int, request_id: bytes, command: bytes) -> None:
        self._take(int.from_bytes(command[:8], "little"))

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        held = self.applied.tobytes()
        return lambda: (held[at : at + _CHUNK] for at in range(0, len(held), _CHUNK))

    def thaw(self, index: int, chunks: Iterator[bytes]) -> Callable[[], None]:
        numbers = array("Q", b"".join(chunks))

        def use() -> None:
            self.applied, self.latest = array("Q"), {}
            for number in numbers:
                self._take(number)

        return use

    def _take(self, number: int) -> None:
        self.applied.append(number)
        writer, latest = unpacked(number)
        self.latest[writer] = latest


def packed(writer: int, number: int) -> int:
    return writer << _WRITER_BITS | number


def unpacked(number: int) -> tuple[int, int]:
    return number >> _WRITER_BITS, number & (1 << _WRITER_BITS) - 1


class Answers:
    """What the member is asked on its socket."""

    def __init__(self, raft: "RaftNode", tally: Tally, disk: Disk) -> None:
        self._raft = raft
        self._tally = tally
        self._disk = disk

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = json.loads(line)
            try:
                answer = await getattr(self, request.pop("ask"))(**request)
            except PyswarmError as error:
                answer = {"refusal": type(error).__name__, "message": error.message}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def write(self, writer: int, number: int, size: int) -> dict[str, Any]:
        command = packed(writer, number).to_bytes(8, "little").ljust(size, b"\xf7")
        return {"index": await self._raft.propose(command, f"{writer}-{number}".encode())}

    async def read(self) -> dict[str, Any]:
        await self._raft.read_barrier()
        return {"latest": self._tally.latest}

    async def status(self) -> dict[str, Any]:
        leadership = self._raft.leadership
        return {
            "leads": leadership.is_leader,
            "term": leadership.term,
            "leader": leadership.leader_id,
            "applied": self._raft.applied,
            "members": [member.node_id for member in self._raft.members() if not member.learner],
        }

    async def log(self) -> dict[str, Any]:
        return {"applied": base64.b64encode(self._tally.applied.tobytes()).decode()}

    async def remove(self, node: str) -> dict[str, Any]:
        await self._raft.remove_member(node)
        return {}

    async def die(self, where: str) -> dict[str, Any]:
        self._disk.die(where)
        return {}

    async def block(self, seconds: float) -> dict[str, Any]:
        """Its event loop stands still; the engine's thread goes on."""
        time.sleep(seconds)  # noqa: ASYNC251 - that is the point
        return {}

    async def stop_syncing(self) -> dict[str, Any]:
        self._disk.stop_syncing()
        return {}


async def run(settings: Settings, disk: Disk) -> str:
    """Until the member has to stop: the reason. (Otherwise it is killed.)"""
    import grpc

    from identity.channels import SERVER_OPTIONS, listen
    from identity.credentials import Credentials
    from proto.raft_pb2_grpc import add_RaftServicer_to_server
    from raft import Timing, open_member

    tally = Tally()
    credentials = Credentials(settings.key.encode(), settings.certificate.encode(), settings.root.encode())
    timing = Timing(**settings.timing)
    bootstrap = not settings.join
    raft = open_member(Path(settings.folder), settings.addr, credentials, tally, bootstrap=bootstrap, timing=timing)
    server = grpc.aio.server(options=SERVER_OPTIONS)
    listen(server, settings.addr, credentials.server_credentials())
    add_RaftServicer_to_server(raft.servicer, server)
    await server.start()
    await raft.start()
    if not raft.joined:
        await raft.join(settings.join)
    await asyncio.start_unix_server(Answers(raft, tally, disk).serve, settings.socket, limit=LINE_LIMIT)
    reason = await raft.ended()
    assert reason is not None, "nobody asks it to stop"
    return reason.message


def main() -> NoReturn:
    settings = Settings.load(Path(sys.argv[1]))
    disk = Disk(Platter(Path(settings.platter)) if settings.platter else None)
    disk.install()
    disk.die(settings.dies)
    try:
        reason = asyncio.run(run(settings, disk))
    except PyswarmError as error:
        reason = error.message
    print(reason, file=sys.stderr, flush=True)
    os._exit(1)  # these are its last words: an interpreter that ends tells of questions that came in too late


if __name__ == "__main__":
    main()
