"""A whole snapshot from one member's disk to another's. Each seals it with its own key; in between is only TLS."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc

from core.errors import InvalidArgument
from proto import raft_pb2 as pb
from proto.raft_pb2_grpc import RaftStub
from raft.storage.header import Owner
from raft.storage.seal import DataKey
from raft.storage.snapshot import Snapshot, SnapshotWriter


async def send_snapshot(
    channel: grpc.aio.Channel, snapshot: Snapshot, term: int, timeout: float
) -> pb.RaftSnapshotInstalled:
    """Raises AioRpcError. Reads and unseals off the loop, at the pace the receiver takes."""
    parts = _parts(snapshot, term)

    async def stream() -> AsyncIterator[pb.RaftSnapshotPart]:
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            yield part

    return await RaftStub(channel).Install(stream(), timeout=timeout)


def _parts(snapshot: Snapshot, term: int) -> Iterator[pb.RaftSnapshotPart]:
    yield pb.RaftSnapshotPart(term=term, state=snapshot.state)
    count = 0
    for chunk in snapshot.chunks():
        yield pb.RaftSnapshotPart(term=term, chunk=chunk)
        count += 1
    yield pb.RaftSnapshotPart(term=term, end=count)


async def receive_snapshot(parts: AsyncIterator[pb.RaftSnapshotPart], path: Path, owner: Owner, key: DataKey) -> int:
    """Writes it to `path`, whole and synced, off the loop; the sender's term. Raises InvalidArgument, OSError."""
    first = await anext(parts, None)
    if first is None or first.WhichOneof("body") != "state" or first.state.entry.index < 2:
        raise InvalidArgument("a snapshot begins with its state")
    writer = await asyncio.to_thread(SnapshotWriter, path, owner, key, first.state)
    count = 0
    try:
        async for part in parts:
            if part.WhichOneof("body") == "end" and part.end == count:
                await asyncio.to_thread(writer.finish)
                return first.term
            if part.WhichOneof("body") != "chunk":
                break
            await asyncio.to_thread(writer.write, part.chunk)
            count += 1
        raise InvalidArgument("a snapshot's parts do not follow each other")
    except BaseException:
        writer.abandon()
        raise
