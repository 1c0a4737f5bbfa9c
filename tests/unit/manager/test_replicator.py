"""Writers gathered into entries: each decides on the newest state, and hears once its own write is applied."""

import asyncio
import gc
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.clock import ManualClock
from core.errors import AlreadyExists, NoQuorum, NotLeader, OutOfSequence, ResourceExhausted, UnknownOutcome
from core.model import ContainerSpec, Node, Service, ServiceSpec, TaskSpec
from manager.replicator import Replicator
from manager.store import Store, Transaction
from raft import Leadership
from tests.support.one_manager import LoneConsensus


class Log(LoneConsensus):
    """Holds proposals back until told, and may refuse, lose or delay them."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.entries: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.refusal: Exception | None = None
        self.late: list[tuple[bytes, bytes]] = []

    async def propose(self, command: bytes, request_id: bytes) -> int:
        self.entries.append(len(command))
        await self.open.wait()
        if isinstance(self.refusal, UnknownOutcome):
            self.late.append((command, request_id))
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        for late in self.late:
            await super().propose(*late)
        self.late.clear()
        return await super().propose(command, request_id)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def log(store: Store) -> Log:
    return Log(store)


@pytest.fixture
async def replicator(store: Store, log: Log) -> Replicator:
    return Replicator(store, log, ManualClock())


def create(node_id: str) -> Callable[[Transaction], str]:
    def decide(tx: Transaction) -> str:
        tx.create(Node(id=node_id))
        return node_id

    return decide


def big_service(name: str, size: int) -> Service:
    return Service(id=name, spec=ServiceSpec(name, task=TaskSpec(container=ContainerSpec(env=("x" * size,)))))


async def test_a_result_comes_once_it_is_applied(store: Store, replicator: Replicator) -> None:
    assert await replicator.update(create("n1")) == "n1"
    assert store.node("n1") is not None


async def test_those_who_write_while_a_proposal_is_in_flight_share_the_next_entry(
    store: Store, log: Log, replicator: Replicator
) -> None:
    log.open.clear()
    first = asyncio.create_task(replicator.update(create("n0")))
    await asyncio.sleep(0)
    others = [asyncio.create_task(replicator.update(create(f"n{number}"))) for number in range(1, 20)]
    await asyncio.sleep(0)
    log.open.set()
    await asyncio.gather(first, *others)
    assert len(log.entries) == 2
    assert len(list(store.nodes())) == 20


async def test_a_writer_sees_what_those_before_it_wrote(replicator: Replicator) -> None:
    seen = await asyncio.gather(
        *(replicator.update(lambda tx: tx.create(Node(id=f"n{tx.mark}")) or len(list(tx.nodes()))) for _ in range(3))
    )
    assert sorted(seen) == [1, 2, 3]


async def test_RFT_09_of_two_writers_that_read_one_version_the_second_is_refused(
    store: Store, replicator: Replicator
) -> None:
    await replicator.update(create("n1"))
    read = store.node("n1")
    assert read is not None
    outcomes = await asyncio.gather(
        *(replicator.update(lambda tx: tx.update(replace(read, role=read.role))) for _ in range(2)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), OutOfSequence]


async def test_RFT_09_one_that_raises_leaves_no_trace_and_hurts_nobody_else(
    store: Store, replicator: Replicator
) -> None:
    def fails(tx: Transaction) -> None:
        tx.create(Node(id="half"))
        raise AlreadyExists("no")

    outcomes = await asyncio.gather(
        replicator.update(create("n1")),
        replicator.update(fails),
        replicator.update(create("n2")),
        return_exceptions=True,
    )
    assert [outcomes[0], outcomes[2]] == ["n1", "n2"]
    assert isinstance(outcomes[1], AlreadyExists)
    assert [node.id for node in store.nodes()] == ["n1", "n2"]


async def test_nothing_is_proposed_when_nothing_changes(log: Log, replicator: Replicator) -> None:
    assert await replicator.update(lambda tx: 7) == 7
    assert not log.entries


async def test_a_refused_proposal_fails_all_who_share_it_and_leaves_no_trace(
    store: Store, log: Log, replicator: Replicator
) -> None:
    log.refusal = NoQuorum(1, 3)
    outcomes = await asyncio.gather(
        replicator.update(create("n1")), replicator.update(create("n2")), return_exceptions=True
    )
    assert all(isinstance(outcome, NoQuorum) for outcome in outcomes)
    assert not list(store.nodes())
    assert await replicator.update(create("n1")) == "n1"


async def test_a_follower_decides_nothing(log: Log, replicator: Replicator) -> None:
    log.leadership = Leadership(term=2, leader_id="two", leader_addr="two:2377")
    with pytest.raises(NotLeader, match="two:2377"):
        await replicator.update(create("n1"))


async def test_after_an_unknown_outcome_the_next_writer_decides_on_what_became_of_it(
    store: Store, log: Log, replicator: Replicator
) -> None:
    log.refusal = UnknownOutcome()
    with pytest.raises(UnknownOutcome):
        await replicator.update(create("n1"))
    assert store.node("n1") is None, "not applied yet, but it will be"
    with pytest.raises(AlreadyExists):
        await replicator.update(create("n1"))


async def test_RFT_10_entries_stay_small_however_many_write(store: Store, log: Log, replicator: Replicator) -> None:
    services = [big_service(f"s{number}", 60_000) for number in range(40)]
    await asyncio.gather(*(replicator.update(lambda tx, item=item: tx.create(item)) for item in services))
    assert len(list(store.services())) == 40
    assert max(log.entries) < 600_000
    assert len(log.entries) < 40


async def test_a_large_write_waits_for_an_entry_of_its_own(store: Store, log: Log, replicator: Replicator) -> None:
    runs = []

    def large(tx: Transaction) -> None:
        runs.append(len(list(tx.nodes())))
        tx.create(big_service("large", 400_000))

    await asyncio.gather(replicator.update(create("n1")), replicator.update(large), replicator.update(create("n2")))
    assert runs == [1, 2], "run again, on the newest state"
    assert len(log.entries) == 2
    assert store.service("large") is not None


async def test_what_no_entry_can_hold_fails_alone(log: Log, store: Store, replicator: Replicator) -> None:
    log.refusal = ResourceExhausted("the command is too large")
    with pytest.raises(ResourceExhausted):
        await replicator.update(lambda tx: tx.create(big_service("huge", 2_000_000)))
    assert await replicator.update(create("n1")) == "n1"


async def test_the_last_writer_sees_all_others_of_its_entry(store: Store, log: Log, replicator: Replicator) -> None:
    seen = await asyncio.gather(
        replicator.update(lambda tx: sorted(node.id for node in tx.nodes()), last=True),
        replicator.update(create("n1")),
        replicator.update(create("n2")),
    )
    assert seen[0] == ["n1", "n2"]
    assert len(log.entries) == 1


async def test_a_writer_that_gives_up_waiting_disturbs_nobody(store: Store, log: Log, replicator: Replicator) -> None:
    log.open.clear()
    first = asyncio.create_task(replicator.update(create("n1")))
    second = asyncio.create_task(replicator.update(create("n2")))
    await asyncio.sleep(0)
    first.cancel()
    log.open.set()
    assert await second == "n2"
    assert [node.id for node in store.nodes()] == ["n1", "n2"]


async def test_the_error_of_a_writer_that_gave_up_waiting_is_nobodys(log: Log, replicator: Replicator) -> None:
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    log.open.clear()
    log.refusal = NoQuorum(1, 3)
    first, second = (asyncio.create_task(replicator.update(create(name))) for name in ("n1", "n2"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    log.open.set()
    await asyncio.wait([second])
    assert isinstance(second.exception(), NoQuorum)
    del first, second
    log.refusal = None
    gc.collect()
    assert unheard == []
