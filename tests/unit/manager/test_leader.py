"""The leader's turns: who sees what, in which order, and what happens when one is not committed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count, pairwise

import pytest

from core.clock import SECOND, ManualClock
from core.errors import NoQuorum
from core.model import Node
from manager import leader
from manager.leader import LeaderLoop
from manager.replicator import Replicator
from manager.store import Event, EventKind, Store, Transaction
from manager.turns import Turns
from tests.support.one_manager import LoneConsensus

Act = Callable[[Transaction, Sequence[Event], int], int | None]


class Played:
    """A controller that does what the test says, and remembers what it saw."""

    def __init__(self, act: Act | None = None, start: Act | None = None) -> None:
        self.seen: list[str] = []
        self.starts = 0
        self._act, self._start = act, start

    def start(self, tx: Transaction, now: int) -> int | None:
        self.starts += 1
        return self._start(tx, (), now) if self._start else None

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        self.seen += [f"{event.kind.name} {event.object.id}" for event in events]
        return self._act(tx, events, now) if self._act else None


def answer(tx: Transaction, events: Sequence[Event], now: int) -> int | None:
    """Makes an echo of every node that is made."""
    for event in events:
        if event.kind is EventKind.CREATE and "-" not in event.object.id:
            tx.create(Node(id=f"{event.object.id}-echo"))
    return None


def take(turns: Turns, tx: Transaction, *made: str, now: int = 0) -> int | None:
    mark = tx.mark
    for node_id in made:
        tx.create(Node(id=node_id))
    return turns.take(tx, tx.events_since(mark), now)


def begun(*controllers: Played) -> tuple[Turns, Transaction]:
    turns, tx = Turns(controllers), Store().transaction()
    while not turns.started:
        take(turns, tx)
    return turns, tx


def test_one_controller_starts_in_each_turn() -> None:
    controllers = [Played(), Played()]
    turns, tx = Turns(controllers), Store().transaction()
    assert take(turns, tx, now=5) == 5, "there is more to do at once"
    assert [controller.starts for controller in controllers] == [1, 0]
    assert take(turns, tx, now=5) is None
    assert turns.started


def test_everyone_sees_the_others_writes_once_and_not_its_own() -> None:
    before, echo, after = Played(), Played(answer), Played()
    turns, tx = begun(before, echo, after)
    take(turns, tx, "a")
    take(turns, tx, "b")
    everything = ["CREATE a", "CREATE a-echo", "CREATE b", "CREATE b-echo"]
    assert before.seen == everything
    assert after.seen == everything
    assert echo.seen == ["CREATE a", "CREATE b"]


def test_a_turn_ends_before_it_grows_large_and_goes_on_in_the_next() -> None:
    serial = count()

    def flood(tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for _ in range(300):
            tx.create(Node(id=f"flood-{next(serial)}"))
        return now if next(serial) < 3_000 else None

    reader = Played()
    turns, tx = begun(reader, Played(flood, start=lambda tx, events, now: now))
    wanted, writes = take(turns, tx, now=1), [tx.mark]
    while wanted is not None:
        wanted = take(turns, tx, now=1)
        writes.append(tx.mark)
    assert max(second - first for first, second in pairwise(writes)) <= 1_300
    assert reader.seen == [f"CREATE {node.id}" for node in tx.nodes()]


def test_a_controller_is_woken_at_its_time_and_not_before() -> None:
    sleeper = Played(lambda tx, events, now: now + 10, start=lambda tx, events, now: 100)
    idle = Played()
    turns, tx = begun(sleeper, idle)
    assert take(turns, tx, now=99) == 100
    assert take(turns, tx, now=100) == 110


class Reign:
    def __init__(self, *controllers: Played) -> None:
        self.clock = ManualClock()
        self.store = Store()
        self.consensus = LoneConsensus(self.store)
        self.replicator = Replicator(self.store, self.consensus, self.clock)
        self.made = 0
        self.controllers = controllers
        self.loop = LeaderLoop(self.store, self.replicator, self.clock, self._make)

    def _make(self) -> Sequence[Played]:
        self.made += 1
        return self.controllers

    async def create(self, node_id: str) -> None:
        await self.replicator.update(lambda tx: tx.create(Node(id=node_id)))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "_SHORTEST_PAUSE", 0.001)


async def test_the_loop_reacts_to_every_change_exactly_once() -> None:
    reader, echo = Played(), Played(answer)
    reign = Reign(reader, echo)
    running = asyncio.create_task(reign.loop.run())
    names = [f"n{number}" for number in range(50)]
    await reign.until(lambda: echo.starts)
    await asyncio.gather(*(reign.create(name) for name in names))
    await reign.until(lambda: len(list(reign.store.nodes())) == 100)
    await reign.until(lambda: len(reader.seen) == 100)
    running.cancel()
    assert sorted(echo.seen) == sorted(f"CREATE {name}" for name in names)
    assert len(set(reader.seen)) == 100


async def test_after_a_proposal_that_failed_controllers_are_made_anew() -> None:
    echo = Played(answer)
    reign = Reign(echo)
    refusals = [NoQuorum(1, 3)]
    propose = reign.consensus.propose

    async def sometimes(command: bytes, request_id: bytes) -> int:
        if reign.store.node("n1") is not None and refusals:
            raise refusals.pop()
        return await propose(command, request_id)

    reign.consensus.propose = sometimes  # type: ignore[method-assign]
    running = asyncio.create_task(reign.loop.run())
    await reign.until(lambda: echo.starts)
    await reign.create("n1")
    await reign.until(lambda: reign.made == 2)
    running.cancel()
    assert reign.store.node("n1-echo") is None, "what was not committed has not happened"


async def test_a_controller_that_fails_takes_nobody_down() -> None:
    def stumble(tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        tx.create(Node(id="half"))
        raise KeyError("a fault of ours")

    reign = Reign(Played(answer), Played(stumble))
    running = asyncio.create_task(reign.loop.run())
    await reign.until(lambda: reign.controllers[1].starts)
    await reign.create("n1")
    await reign.until(lambda: reign.made == 2)
    running.cancel()
    assert [node.id for node in reign.store.nodes()] == ["n1"]


async def test_the_loop_wakes_when_a_controller_asked_for_it() -> None:
    woken = asyncio.Event()

    def wake(tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        woken.set()
        return None

    reign = Reign(Played(wake, start=lambda tx, events, now: now + SECOND // 100))
    running = asyncio.create_task(reign.loop.run())
    await reign.until(lambda: reign.controllers[0].starts)
    assert not woken.is_set()
    reign.clock.advance(SECOND)
    async with asyncio.timeout(30):
        await woken.wait()
    running.cancel()


async def test_after_a_snapshot_was_installed_controllers_are_made_anew() -> None:
    reign = Reign(Played())
    running = asyncio.create_task(reign.loop.run())
    await reign.create("n1")
    reign.store.restore(7, reign.store.freeze()())
    await reign.until(lambda: reign.made == 2)
    running.cancel()


async def test_a_change_of_an_object_that_the_same_turn_saw_made_is_seen() -> None:
    reader = Played()
    reign = Reign(reader)
    running = asyncio.create_task(reign.loop.run())
    await reign.until(lambda: reader.starts)
    await reign.create("n1")
    made = reign.store.node("n1")
    assert made is not None
    await reign.replicator.update(lambda tx: tx.update(replace(made, role=made.role)))
    await reign.until(lambda: len(reader.seen) == 2)
    running.cancel()
    assert reader.seen == ["CREATE n1", "UPDATE n1"]
