"""The store as the log's state machine: the same on every manager, in memory, in entries and in snapshots."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest

from core.errors import InvalidArgument
from core.model import Cluster, ContainerSpec, Node, RootCA, Service, ServiceSpec, Task, TaskSpec, TaskState
from manager.store import Commit, EventKind, Store, Transaction, encode_entry

SPEC = TaskSpec(container=ContainerSpec(image="busybox", env=("A=1",)))
WEB = Service(id="s1", spec=ServiceSpec("web", task=SPEC, replicas=2), spec_version=3)


class Pair:
    """The same log on a leader, which keeps its own objects, and on a follower, which reads the bytes."""

    def __init__(self) -> None:
        self.leader, self.follower = Store(), Store()
        self.entry = b""
        self._index = count(1)

    def write(self, decide: Callable[[Transaction], object], now: int = 7) -> None:
        tx = self.leader.transaction()
        decide(tx)
        changes = tx.changes()
        tx.rollback()
        index = next(self._index)
        request_id = str(index).encode()
        self.entry = encode_entry(changes, now, self.leader.spec)
        self.leader.expect(request_id, changes, now)
        for store in (self.leader, self.follower):
            store.apply(index, request_id, self.entry)
        assert contents(self.leader) == contents(self.follower)


def contents(store: Store) -> list[object]:
    found: list[object] = [store.cluster, *store.nodes(), *store.services(), *store.tasks()]
    return [*found, store.index]


def task(number: int, version: int = 3, spec: TaskSpec = SPEC) -> Task:
    return Task(id=f"t{number}", service_id="s1", service_name="web", slot=number, spec=spec, spec_version=version)


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_leader_and_follower_hold_the_same_versions_and_times(pair: Pair) -> None:
    pair.write(lambda tx: (tx.create(WEB), tx.create(task(1)), tx.create(Node(id="n1"))), now=100)

    def change(tx: Transaction) -> None:
        old = tx.task("t1")
        assert old is not None
        tx.update(replace(old, node_id="n1"))

    pair.write(change, now=200)
    found = pair.follower.task("t1")
    assert found is not None
    assert (found.meta.version, found.meta.created_at, found.meta.updated_at) == (2, 100, 200)
    assert [item.id for item in pair.follower.tasks_of_node("n1")] == ["t1"]
    pair.write(lambda tx: tx.delete(Task, "t1"))
    assert pair.follower.task("t1") is None


def test_a_spec_travels_only_while_nobody_knows_it(pair: Pair) -> None:
    big = replace(SPEC, container=replace(SPEC.container, env=("X=" + "y" * 5_000,)))
    service = replace(WEB, spec=replace(WEB.spec, task=big))
    pair.write(lambda tx: tx.create(service))
    pair.write(lambda tx: [tx.create(task(number, spec=big)) for number in range(50)])
    assert len(pair.entry) < 5_000, "the service's spec is its tasks' spec, and known"
    tasks = list(pair.follower.tasks())
    assert all(item.spec is tasks[0].spec for item in tasks)
    assert tasks[0].spec == big


def test_a_spec_is_carried_when_the_entry_itself_makes_it_known(pair: Pair) -> None:
    pair.write(lambda tx: (tx.create(WEB), tx.create(task(1)), tx.create(task(2))))
    found = pair.follower.task("t2")
    assert found is not None
    assert found.spec == SPEC


def test_a_spec_that_nobody_uses_is_dropped(pair: Pair) -> None:
    pair.write(lambda tx: (tx.create(WEB), tx.create(task(1))))
    newer = replace(SPEC, force_update=1)

    def move_on(tx: Transaction) -> None:
        service = tx.service("s1")
        assert service is not None
        tx.update(replace(service, spec=replace(service.spec, task=newer), spec_version=4))

    pair.write(move_on)
    for store in (pair.leader, pair.follower):
        assert store.spec(("s1", 3)) == SPEC
        assert store.spec(("s1", 4)) == newer
    pair.write(lambda tx: tx.delete(Task, "t1"))
    for store in (pair.leader, pair.follower):
        assert store.spec(("s1", 3)) is None
    pair.write(lambda tx: tx.create(task(2, version=4, spec=newer)))
    pair.write(lambda tx: tx.delete(Service, "s1"))
    assert pair.follower.spec(("s1", 4)) == newer, "a task still uses it"
    pair.write(lambda tx: tx.delete(Task, "t2"))
    assert pair.follower.spec(("s1", 4)) is None


def test_watchers_see_each_entry_whole_and_in_order(pair: Pair) -> None:
    seen: list[Commit] = []
    stop = pair.follower.watch(seen.append)
    pair.write(lambda tx: (tx.create(WEB), tx.create(task(1))))
    pair.write(lambda tx: tx.delete(Task, "t1"))
    stop()
    pair.write(lambda tx: tx.delete(Service, "s1"))
    kinds = [[(event.kind, event.object.id) for event in commit.events] for commit in seen]
    assert kinds == [[(EventKind.CREATE, "s1"), (EventKind.CREATE, "t1")], [(EventKind.DELETE, "t1")]]
    assert seen[1].events[0].old == seen[0].events[1].object


def test_RFT_10_a_snapshot_brings_back_everything(pair: Pair) -> None:
    ca = RootCA(b"cert", b"key", "worker", "manager")
    pair.write(lambda tx: (tx.create(Cluster(id="c", root_ca=ca)), tx.create(WEB), tx.create(Node(id="n1"))))
    pair.write(lambda tx: [tx.create(replace(task(number), node_id="n1")) for number in range(1, 4)])
    restored, seen = Store(), []
    restored.watch(seen.append)
    restored.restore(2, pair.leader.freeze()())
    assert contents(restored) == contents(pair.leader)
    assert len(list(restored.tasks_of_node("n1"))) == 3
    found = [restored.task(f"t{number}") for number in (1, 2)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].spec is found[1].spec
    assert seen == [Commit(2, restored=True)]


def test_a_snapshot_is_of_the_moment_it_was_frozen(pair: Pair) -> None:
    pair.write(lambda tx: tx.create(Node(id="n1")))
    frozen = pair.leader.freeze()
    pair.write(lambda tx: (tx.delete(Node, "n1"), tx.create(Node(id="n2"))))
    restored = Store()
    restored.restore(1, frozen())
    assert [node.id for node in restored.nodes()] == ["n1"]


def test_a_damaged_snapshot_is_refused_and_changes_nothing(pair: Pair) -> None:
    pair.write(lambda tx: tx.create(Node(id="n1")))

    def cut() -> Iterator[bytes]:
        yield b"".join(pair.leader.freeze()())[:-1]

    with pytest.raises(InvalidArgument, match="ends in the middle"):
        pair.follower.restore(9, cut())
    assert pair.follower.index == 1
    assert pair.follower.node("n1") is not None


def test_an_entry_that_cannot_be_read_is_refused(pair: Pair) -> None:
    with pytest.raises(InvalidArgument):
        pair.leader.apply(1, b"", b"\xff\xff\xff")


def test_the_key_of_the_root_is_in_no_repr(pair: Pair) -> None:
    pair.write(lambda tx: tx.create(Cluster(id="c", root_ca=RootCA(b"cert", b"hush", "tok-w", "tok-m"))))
    assert "hush" not in repr(pair.leader.cluster)
    assert "tok-" not in repr(pair.leader.cluster)


def test_tasks_take_little_room_in_an_entry(pair: Pair) -> None:
    pair.write(lambda tx: tx.create(WEB))
    pair.write(
        lambda tx: [tx.create(replace(task(n), id=f"{n:025d}", desired_state=TaskState.RUNNING)) for n in range(1_000)]
    )
    assert len(pair.entry) < 100_000
