"""The ingress state goes out at once, and never more often than the loop can bear."""

import asyncio

import pytest

from core.model import Node, Role
from manager.dispatcher import broadcast
from manager.dispatcher.broadcast import IngressBroadcast
from manager.dispatcher.ingress_state import IngressTable
from manager.dispatcher.session import AgentSession
from manager.dispatcher.turnstile import Turnstile
from manager.store import Store
from proto import dispatcher_pb2 as pb


class Watched(AgentSession):
    """Counts how often it was given something new."""

    def __init__(self, node_id: str) -> None:
        super().__init__(f"session of {node_id}", node_id, Role.WORKER, Turnstile())
        self.told = 0

    def follow(self, ingress: pb.DispatcherMessage) -> None:
        super().follow(ingress)
        self.told += 1


class World:
    def __init__(self, sessions: int = 1) -> None:
        self.tx = Store().transaction()
        self.table = IngressTable(self.tx, 1)
        self.sessions = {f"n{number}": Watched(f"n{number}") for number in range(sessions)}
        self.broadcast = IngressBroadcast(self.table, self.sessions)

    def change(self) -> None:
        mark = self.tx.mark
        self.tx.create(Node(id=f"node {mark}"))
        assert self.table.observe(self.tx, self.tx.events_since(mark), self.table.version + 1).is_new
        self.broadcast.changed()

    def told(self) -> set[int]:
        return {session.told for session in self.sessions.values()}

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)


async def test_every_session_is_told_of_a_change_at_once() -> None:
    world = World(sessions=3)
    running = asyncio.create_task(world.broadcast.run())
    await world.turns(1)
    world.change()
    await world.turns(10)
    assert world.told() == {1}
    running.cancel()


async def test_changes_that_follow_closely_go_out_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "_BYTES_PER_SECOND", 1)
    world = World()
    running = asyncio.create_task(world.broadcast.run())
    await world.turns(1)
    world.change()
    await world.turns(5)
    for _ in range(5):
        world.change()
        await world.turns(5)
    assert world.told() == {1}, "it rests"
    running.cancel()
    assert world.broadcast.message().ingress.version == world.table.version, "a new session begins with the newest"


async def test_a_session_is_sent_each_version_once_and_never_an_older_one() -> None:
    world = World()
    session = world.sessions["n0"]
    first = world.broadcast.message()
    session.follow(first)
    assert sent(session) == [1]
    session.follow(first)
    assert sent(session) == []
    world.change()
    session.follow(world.broadcast.message())
    world.change()
    session.follow(world.broadcast.message())
    assert sent(session) == [3], "what was not written yet is replaced"
    session.follow(first)
    assert sent(session) == []


def sent(session: AgentSession) -> list[int]:
    messages = session._next_messages(NoAssignments())
    return [message.ingress.version for message in messages if message.HasField("ingress")]


class NoAssignments:
    def next_assignments(self, session: AgentSession) -> list[pb.Assignments]:
        return []
