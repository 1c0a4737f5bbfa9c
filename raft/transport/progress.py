"""How far a large transfer is, for whoever reads the log."""

from collections.abc import AsyncIterator
from time import monotonic

from core.logs import logger
from proto import raft_pb2 as pb

log = logger("raft.snapshots")
_EVERY = 5.0
"""Seconds."""


async def noted(parts: AsyncIterator[pb.RaftSnapshotPart], sender: str) -> AsyncIterator[pb.RaftSnapshotPart]:
    """`parts` as they come."""
    begun = said = monotonic()
    received = 0
    async for part in parts:
        received += len(part.chunk)
        now = monotonic()
        if part.WhichOneof("body") == "end":
            log.info("a snapshot is here", node=sender, bytes=received, seconds=round(now - begun, 1))
        elif now - said >= _EVERY:
            said = now
            log.info("receiving a snapshot", node=sender, bytes=received)
        yield part
