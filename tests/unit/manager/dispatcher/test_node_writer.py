"""What nodes say of themselves is written, but however much they say it is no flood of writes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from core.clock import ManualClock
from core.errors import NotLeader
from core.model import Node, NodeDescription
from manager.dispatcher import nodes
from manager.dispatcher.node_writer import NodeWriter
from manager.dispatcher.writes import OBJECT_SIZE, Decide, WriteQueue
from proto import dispatcher_pb2 as pb
from tests.support.leading import leading
from tests.support.one_manager import OneManager
from tests.support.waiting import eventually


class Counted(WriteQueue):
    count = 0

    def submit(self, decide: Decide, size: int = OBJECT_SIZE) -> "asyncio.Future[None]":
        self.count += 1
        return super().submit(decide, size)


class World(OneManager):
    def __init__(self) -> None:
        super().__init__(ManualClock(1000))
        self.writes = Counted(self.replicator)
        self.writer = NodeWriter(self.store, self.writes)

    def says(self, issuer: str) -> None:
        self.writer.say("n1", partial(nodes.with_certificate, issuer=issuer, trust_root="r"))

    def knows(self, issuer: str) -> bool:
        node = self.store.node("n1")
        return node is not None and node.description is not None and node.description.certificate_issuer == issuer


@asynccontextmanager
async def a_node() -> AsyncIterator[World]:
    world = World()
    described = NodeDescription(hostname="host", certificate_issuer="first", trust_root="r")
    await world.change(lambda tx: tx.create(Node(id="n1", description=described)))
    running = asyncio.create_task(world.writes.run())
    try:
        yield world
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_of_what_a_node_says_during_a_write_only_the_newest_is_written() -> None:
    async with a_node() as world:
        for number in range(100):
            world.says(f"issuer {number}")
        assert world.writes.count == 1
        await eventually("the newest is known", lambda: world.knows("issuer 99"))
        assert world.writes.count == 2


async def test_what_the_store_has_already_is_not_written() -> None:
    async with a_node() as world:
        world.says("first")
        assert world.writes.count == 0
        world.says("second")
        world.says("first")
        await eventually("it is taken back", lambda: world.writes.count == 2 and world.knows("first"))


async def test_a_write_that_fails_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_node() as world:
        propose = world.consensus.propose

        async def refuse_once(command: bytes, request_id: bytes) -> int:
            monkeypatch.setattr(world.consensus, "propose", propose)
            raise NotLeader

        monkeypatch.setattr(world.consensus, "propose", refuse_once)
        world.says("lost")
        world.says("second")
        await eventually("it is known", lambda: world.knows("second"))
        assert world.writes.count == 2


async def test_a_node_that_repeats_what_it_holds_makes_no_write(monkeypatch: pytest.MonkeyPatch) -> None:
    submitted: list[Decide] = []
    submit = WriteQueue.submit

    def counted(queue: WriteQueue, decide: Decide, size: int = OBJECT_SIZE) -> "asyncio.Future[None]":
        submitted.append(decide)
        return submit(queue, decide, size)

    async with leading() as leader:
        described = NodeDescription(hostname="host", certificate_issuer="a" * 64, trust_root="b" * 64)
        async with leader.agent("n1", description=described) as agent:
            await agent.welcomed()
            monkeypatch.setattr(WriteQueue, "submit", counted)
            for _ in range(20):
                await agent.send(certificate=pb.HeldCertificate(issuer="a" * 64, trust_root="b" * 64))
            await agent.send(certificate=pb.HeldCertificate(issuer="a" * 64, trust_root="c" * 64))
            told = NodeDescription(hostname="host", certificate_issuer="a" * 64, trust_root="c" * 64)
            await eventually("what is new", lambda: leader.node("n1").description == told)
            assert len(submitted) == 1
