"""A whole snapshot from one member's disk to another's. Each seals it with its own key; in between is only TLS."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc

from core.errors import InvalidArgument, PyswarmError, Unavailable
from proto import raft_pb2 as pb
from proto.raft_pb2_grpc import RaftStub
from raft.storage.header import Owner
from raft.storage.seal import DataKey
from raft.storage.snapshot import Snapshot, SnapshotWriter, check_state
from raft.transport.link import Connection


async def send_snapshot(
    connection: Connection, snapshot: Snapshot, term: int, timeout: float
) -> pb.RaftSnapshotInstalled:
    """Reads and unseals off the loop, at the pace the receiver takes. Raises AioRpcError; of our file
    DamagedState or UnreadableState."""
    parts = _parts(snapshot, term)
    failure: PyswarmError | None = None

    async def stream() -> AsyncIterator[pb.RaftSnapshotPart]:
        nonlocal failure
        yield pb.RaftSnapshotPart(hello=connection.hello)
        try:
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                yield part
        except PyswarmError as error:
            failure = error  # gRPC would drop it: the stream ends early, which the receiver refuses

    try:
        return await RaftStub(connection.channel).Install(stream(), timeout=timeout)
    except grpc.aio.AioRpcError:
        if failure is not None:
            raise failure from None
        raise


def _parts(snapshot: Snapshot, term: int) -> Iterator[pb.RaftSnapshotPart]:
    yield pb.RaftSnapshotPart(term=term, state=snapshot.state)
    count = 0
    for chunk in snapshot.chunks():
        yield pb.RaftSnapshotPart(term=term, chunk=chunk)
        count += 1
    yield pb.RaftSnapshotPart(term=term, end=count)


async def receive_snapshot(parts: AsyncIterator[pb.RaftSnapshotPart], path: Path, owner: Owner, key: DataKey) -> int:
    """Writes what comes after the Hello to `path`, whole and synced, off the loop; the sender's term.

    Raises InvalidArgument, or Unavailable where this disk does not take it. Nothing is left at `path` then.
    """
    first = await anext(parts, None)
    if first is None or first.WhichOneof("body") != "state":
        raise InvalidArgument("a snapshot begins with its state")
    check_state(first.state)
    try:
        opening = asyncio.ensure_future(asyncio.to_thread(SnapshotWriter, path, owner, key, first.state))
        try:
            await _receive_chunks(parts, await asyncio.shield(opening))
        except BaseException:
            opening.add_done_callback(_abandon)
            raise
    except OSError as error:
        raise Unavailable(f"the snapshot cannot be written to {path}: {error.strerror}") from error
    return first.term


def _abandon(opening: "asyncio.Future[SnapshotWriter]") -> None:
    """A thread may still be in it, when the call was cancelled: it is waited for in another one."""
    if opening.exception() is None:
        asyncio.get_running_loop().run_in_executor(None, opening.result().abandon)


async def _receive_chunks(parts: AsyncIterator[pb.RaftSnapshotPart], writer: SnapshotWriter) -> None:
    count = 0
    async for part in parts:
        match part.WhichOneof("body"):
            case "chunk":
                await asyncio.to_thread(writer.write, part.chunk)
                count += 1
            case "end" if part.end == count:
                await asyncio.to_thread(writer.finish)
                return
            case _:
                break
    raise InvalidArgument("a snapshot's parts do not follow each other")
