"""A large snapshot says how far it is."""

from collections.abc import AsyncIterator, Iterable

import pytest
from structlog.testing import capture_logs

from proto import raft_pb2 as pb
from raft.transport import progress


async def played(parts: Iterable[pb.RaftSnapshotPart]) -> AsyncIterator[pb.RaftSnapshotPart]:
    for part in parts:
        yield part


PARTS = [
    pb.RaftSnapshotPart(state=pb.RaftSnapshotState()),
    pb.RaftSnapshotPart(chunk=b"x" * 1000),
    pb.RaftSnapshotPart(chunk=b"x" * 500),
    pb.RaftSnapshotPart(end=2),
]


async def test_a_snapshot_that_takes_long_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    with capture_logs() as said:
        assert [part async for part in progress.noted(played(PARTS), "sender")] == PARTS
    assert [(line["event"], line["bytes"]) for line in said] == [
        ("receiving a snapshot", 0),
        ("receiving a snapshot", 1000),
        ("receiving a snapshot", 1500),
        ("a snapshot is here", 1500),
    ]


async def test_one_that_is_quick_says_that_it_is_here() -> None:
    with capture_logs() as said:
        assert [part async for part in progress.noted(played(PARTS), "sender")] == PARTS
    assert [line["event"] for line in said] == ["a snapshot is here"]
