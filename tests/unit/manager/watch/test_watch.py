"""Watching what changes: filtered, with what was before, from a version on or not at all."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import pytest

from core.clock import ManualClock
from core.errors import FailedPrecondition, InvalidArgument, Unavailable
from core.model import Config as StoredConfig
from core.model import ConfigSpec, ContainerSpec, Node, Service, ServiceSpec, Task, TaskSpec
from manager.store import Commit, Event, EventKind, Transaction
from manager.watch import Changes, History, Selector, Watches
from tests.support.one_manager import OneManager

ANY = (Selector(),)


class World(OneManager):
    def __init__(self) -> None:
        self.clock = ManualClock(1000)
        super().__init__(self.clock)
        self.watches = Watches(self.store)

    async def put(self, *items: Service | Node | Task | StoredConfig) -> int:
        def create(tx: Transaction) -> None:
            for item in items:
                tx.create(item)

        await self.change(create)
        return self.store.index

    async def label(self, service_id: str, **labels: str) -> int:
        service = self.store.service(service_id)
        assert service is not None
        await self.change(lambda tx: tx.update(replace(service, spec=replace(service.spec, labels=labels))))
        return self.store.index


@pytest.fixture
def world() -> World:
    return World()


def web(service_id: str = "s1", name: str = "web", **labels: str) -> Service:
    return Service(id=service_id, spec=ServiceSpec(name=name, labels=labels))


async def seen(watch: AsyncGenerator[Changes, None], count: int) -> list[str]:
    """The next changes, each as `version KIND id`."""
    lines: list[str] = []
    async with aclosing(watch) as stream:
        while len(lines) < count:
            changes = await anext(stream)
            lines += [f"{changes.version} {event.kind.name} {event.object.id}" for event in changes.events]
    return lines


async def test_WAT_01_changes_come_once_in_order_with_the_object_before(world: World) -> None:
    watch = world.watches.follow(ANY)
    made = await world.put(web())
    changed = await world.label("s1", a="b")
    await world.change(lambda tx: tx.delete(Service, "s1"))
    async with aclosing(watch) as stream:
        create, update, delete = [await anext(stream) for _ in range(3)]
    assert [changes.version for changes in (create, update, delete)] == [made, changed, changed + 1]
    assert create.events[0].old is None
    old, new = update.events[0].old, update.events[0].object
    assert isinstance(old, Service)
    assert isinstance(new, Service)
    assert (old.spec.labels, new.spec.labels) == ({}, {"a": "b"})
    assert delete.events[0].old == new
    assert delete.at == world.clock.now()


@pytest.mark.parametrize(
    ("selector", "ids"),
    [
        (Selector(), ["n1", "s1", "s2", "t1", "t2", "c1"]),
        (Selector(kinds=frozenset({Service})), ["s1", "s2"]),
        (Selector(id="s2"), ["s2"]),
        (Selector(name="WEB"), ["s1"]),
        (Selector(name="web.1.t1"), ["t1"]),
        (Selector(service_id="s1"), ["t1"]),
        (Selector(node_id="n1"), ["t1", "t2"]),
        (Selector(labels={"tier": "front"}), ["s1"]),
        (Selector(actions=frozenset({EventKind.DELETE})), []),
    ],
)
async def test_WAT_01_filters_by_kind_action_and_what_the_object_is(
    world: World, selector: Selector, ids: list[str]
) -> None:
    begun = world.store.index
    await world.put(Node(id="n1"), web(tier="front", more="x"), web("s2", "db", tier="back"))
    await world.put(
        Task(id="t1", service_id="s1", service_name="web", slot=1, node_id="n1"),
        Task(id="t2", service_id="s2", service_name="db", node_id="n1"),
        StoredConfig(id="c1", spec=ConfigSpec(name="motd")),
    )
    past, version = world.watches.past([selector], 0)
    assert [event.object.id for changes in past for event in changes.events] == ids
    assert version == world.store.index
    if ids:
        followed = await seen(world.watches.follow([selector], begun), len(ids))
        assert [line.split()[-1] for line in followed] == ids


async def test_WAT_01_several_selectors_are_any_of_them(world: World) -> None:
    watch = world.watches.follow([Selector(id="s1"), Selector(kinds=frozenset({Node}))])
    await world.put(web(), web("s2", "db"), Node(id="n1"))
    assert [line.split()[-1] for line in await seen(watch, 2)] == ["s1", "n1"]


async def test_WAT_01_a_watch_resumes_after_a_version(world: World) -> None:
    first = await world.put(web())
    second = await world.put(web("s2", "db"), Node(id="n1"))
    lines = await seen(world.watches.follow(ANY, first), 2)
    assert lines == [f"{second} CREATE s2", f"{second} CREATE n1"]
    with pytest.raises(InvalidArgument, match=f"the newest is {second}"):
        world.watches.follow(ANY, second + 1)


async def test_WAT_01_a_version_whose_changes_are_gone_is_refused(world: World) -> None:
    history = History(0, kept=2)
    world.store.watch(history.take)
    versions = [await world.put(web(f"s{number}", f"web{number}")) for number in range(4)]
    await world.put(Node(id="n1"))
    assert [changes.version for changes in history.after(versions[1], [Service])] == versions[2:]
    assert len(history.after(0, [Node])) == 1, "other kinds are known for longer"
    with pytest.raises(FailedPrecondition, match=f"known after version {versions[1]} only; list the objects again"):
        history.after(versions[0], [Service])


@pytest.mark.parametrize("kind", [Service, Task])
async def test_large_objects_are_known_for_less_long_but_the_newest_always(
    world: World, kind: type[Service | Task]
) -> None:
    size = 100_000
    history = History(0, size=3 * size + 10_000)
    world.store.watch(history.take)

    def large(number: int) -> Service | Task:
        spec = TaskSpec(container=ContainerSpec(env=(f"A={'x' * size}",)))
        if kind is Task:
            return Task(id=f"o{number}", service_id=f"s{number}", spec=spec)
        return Service(id=f"o{number}", spec=ServiceSpec(name=f"web{number}", task=spec))

    versions = [await world.put(large(number)) for number in range(10)]
    assert [changes.version for changes in history.after(versions[6], [kind])] == versions[7:]
    with pytest.raises(FailedPrecondition, match=f"known after version {versions[6]} only"):
        history.after(versions[5], [kind])
    small = History(world.store.index, size=10)
    world.store.watch(small.take)
    newest = [await world.put(large(number)) for number in (10, 11)][-1]
    assert [changes.version for changes in small.since(0, [kind])] == [newest]


async def test_tasks_that_share_a_large_spec_are_counted_with_it_once(world: World) -> None:
    history = History(0, size=200_000)
    world.store.watch(history.take)
    spec = TaskSpec(container=ContainerSpec(env=(f"A={'x' * 100_000}",)))
    version = await world.put(*(Task(id=f"t{number}", service_id="s1", spec=spec) for number in range(10)))
    assert [len(changes.events) for changes in history.after(version - 1, [Task])] == [10]


async def test_WAT_01_a_snapshot_ends_the_watch_with_an_error(world: World) -> None:
    watch = world.watches.follow(ANY)
    await world.put(web())
    chunks = list(world.store.freeze()())
    world.store.restore(50, iter(chunks))
    async with aclosing(watch) as stream:
        with pytest.raises(FailedPrecondition, match="list the objects again"):
            await anext(stream)
    assert world.watches.past(ANY, 0) == ([], 50)


async def test_a_manager_that_stops_ends_its_watches(world: World) -> None:
    watch = world.watches.follow(ANY)
    world.watches.close()
    async with aclosing(watch) as stream:
        with pytest.raises(Unavailable, match="has stopped"):
            await anext(stream)


async def test_what_is_past_is_asked_for_by_time(world: World) -> None:
    await world.put(web())
    world.clock.advance(1000)
    await world.put(web("s2", "db"))
    past, _ = world.watches.past(ANY, 2000)
    assert [(changes.at, changes.events[0].object.id) for changes in past] == [(2000, "s2")]


async def test_what_is_past_is_found_though_a_new_leaders_clock_was_behind() -> None:
    history = History(0)
    for version, at in ((1, 100), (2, 300), (3, 200), (4, 400)):
        history.take(Commit(version, (Event(EventKind.CREATE, web(f"s{version}")),), at=at))
    assert [changes.version for changes in history.since(250, [Service])] == [2, 4]
