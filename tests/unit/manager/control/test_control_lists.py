"""Docker's list filters, and finding one object by what a user calls it."""

from dataclasses import replace

import pytest

from core.errors import InvalidArgument, NotFound
from core.model import ContainerSpec, NodeSpec, Role, Service, ServiceMode, TaskSpec, TaskState
from manager.control.filters import has_labels
from tests.support.control_world import ControlWorld

WEB_TASK = TaskSpec(container=ContainerSpec(image="nginx", labels={"tier": "front"}))


@pytest.fixture
async def world() -> ControlWorld:
    made = ControlWorld()
    await made.manager.found()
    for name in ("alpha1", "alpha2", "beta"):
        await made.add_node(name, Role.MANAGER if name == "beta" else Role.WORKER)
    labelled = replace(made.manager.node("alpha1"), spec=NodeSpec(labels={"zone": "a", "rack": "1"}))
    await made.write(lambda tx: tx.update(labelled))
    web = await made.create("web", task=WEB_TASK, labels={"com.docker.stack.namespace": "shop", "x": ""})
    agents = await made.create("web-agents", mode=ServiceMode.GLOBAL)
    await made.add_task("task1", web, "alpha1", slot=1)
    await made.add_task("task2", web, "alpha2", TaskState.FAILED, TaskState.SHUTDOWN, slot=2)
    await made.add_task("other", agents, "beta", slot=0)
    return made


def service(world: ControlWorld, name: str) -> Service:
    found = world.store.service_by_name(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {"alpha1", "alpha2", "beta"}),
        ({"id": ["alpha"]}, {"alpha1", "alpha2"}),
        ({"name": ["host-alpha1", "host-b"]}, {"alpha1", "beta"}),
        ({"role": ["manager"]}, {"beta"}),
        ({"role": ["Manager"]}, {"beta"}),
        ({"role": ["manager", "worker"]}, {"alpha1", "alpha2", "beta"}),
        ({"node.label": ["zone"]}, {"alpha1"}),
        ({"node.label": ["zone=a", "rack=1"]}, {"alpha1"}),
        ({"node.label": ["zone=a", "rack=2"]}, set()),
        ({"label": ["disk=ssd"]}, {"alpha1", "alpha2", "beta"}),
        ({"label": ["disk=hdd"]}, set()),
        ({"membership": ["accepted"]}, {"alpha1", "alpha2", "beta"}),
        ({"membership": ["ACCEPTED"]}, {"alpha1", "alpha2", "beta"}),
        ({"membership": ["pending"]}, set()),
        ({"role": ["worker"], "name": ["host-alpha1"]}, {"alpha1"}),
        ({"role": []}, {"alpha1", "alpha2", "beta"}),
    ],
)
async def test_nodes(world: ControlWorld, filters: dict[str, list[str]], expected: set[str]):
    assert {node.id for node in await world.control.list_nodes(filters)} == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"name": ["web"]}, {"web", "web-agents"}),
        ({"name": ["web-"]}, {"web-agents"}),
        ({"mode": ["global"]}, {"web-agents"}),
        ({"mode": ["replicated"]}, {"web"}),
        ({"label": ["com.docker.stack.namespace=shop"]}, {"web"}),
        ({"label": ["x", "com.docker.stack.namespace"]}, {"web"}),
        ({"label": ["x", "y"]}, set()),
        ({"runtime": ["container"]}, {"web", "web-agents"}),
        ({"runtime": ["plugin"]}, set()),
    ],
)
async def test_services(world: ControlWorld, filters: dict[str, list[str]], expected: set[str]):
    assert {service.spec.name for service, _ in await world.control.list_services(filters)} == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"id": ["task"]}, {"task1", "task2"}),
        ({"name": ["web.1"]}, {"task1"}),
        ({"name": ["web-agents.beta"]}, {"other"}),
        ({"service": ["web"]}, {"task1", "task2"}),
        ({"service": ["web", "web-agents"]}, {"task1", "task2", "other"}),
        ({"node": ["host-alpha1", "beta"]}, {"task1", "other"}),
        ({"service": ["web"], "node": ["beta"]}, set()),
        ({"label": ["com.docker.stack.namespace=shop", "x"]}, {"task1", "task2"}),
        ({"label": ["tier=front"]}, set()),
        ({"desired-state": ["running"]}, {"task1", "other"}),
        ({"desired-state": ["SHUTDOWN"]}, {"task2"}),
        ({"desired-state": ["running", "shutdown"], "service": ["web"]}, {"task1", "task2"}),
        ({"runtime": ["container"]}, {"task1", "task2", "other"}),
        ({"_up-to-date": ["true"]}, {"task1", "task2", "other"}),
    ],
)
async def test_tasks(world: ControlWorld, filters: dict[str, list[str]], expected: set[str]):
    assert {task.id for task in await world.control.list_tasks(filters)} == expected


async def test_up_to_date_are_the_tasks_that_an_update_leaves_alone(world: ControlWorld):
    wanted = {"service": ["web"], "_up-to-date": ["true"]}
    await world.change(service(world, "web"), replicas=5)
    assert len(await world.control.list_tasks(wanted)) == 2
    await world.change(service(world, "web"), task=TaskSpec(container=ContainerSpec(image="nginx:2")))
    assert await world.control.list_tasks(wanted) == []
    assert len(await world.control.list_tasks({"service": ["web"], "_up-to-date": ["false"]})) == 2


@pytest.mark.parametrize(
    ("kind", "filters", "words"),
    [
        ("nodes", {"colour": ["red"]}, "invalid filter 'colour': there are id, label, membership"),
        ("nodes", {"role": ["king"]}, "invalid filter 'role=king': it may be worker or manager"),
        ("nodes", {"membership": ["x"]}, "accepted or pending"),
        ("services", {"node": ["x"]}, "invalid filter 'node'"),
        ("services", {"mode": ["x"]}, "replicated or global or replicated-job or global-job"),
        ("tasks", {"desired-state": ["x"]}, "invalid filter 'desired-state=x'"),
        ("tasks", {"_up-to-date": ["x"]}, "invalid filter '_up-to-date=x'"),
    ],
)
async def test_what_is_no_filter_is_refused(world: ControlWorld, kind: str, filters: dict[str, list[str]], words: str):
    with pytest.raises(InvalidArgument, match=words):
        await getattr(world.control, f"list_{kind}")(filters)


async def test_tasks_of_what_is_not_there(world: ControlWorld):
    with pytest.raises(NotFound, match="service gone not found"):
        await world.control.list_tasks({"service": ["gone"]})
    with pytest.raises(NotFound, match="node gone not found"):
        await world.control.list_tasks({"node": ["gone"]})


async def test_by_id_name_and_unambiguous_beginning(world: ControlWorld):
    control = world.control
    assert (await control.get_node("beta")).id == "beta"
    assert (await control.get_node("host-beta")).id == "beta"
    assert (await control.get_node("be")).id == "beta"
    web = service(world, "web")
    assert [(await control.get_service(ref)).id for ref in (web.id, "web", "WEB", web.id[:8])] == [web.id] * 4
    assert [(await control.get_task(ref)).id for ref in ("task1", "web.1.task1", "o")] == ["task1", "task1", "other"]
    assert (await control.get_task("web-agents.beta.other")).id == "other"


async def test_ambiguous_and_unknown(world: ControlWorld):
    control = world.control
    with pytest.raises(InvalidArgument, match=r"node alpha is ambiguous \(2 matches found\)"):
        await control.get_node("alpha")
    with pytest.raises(InvalidArgument, match=r"task task is ambiguous \(2 matches found\)"):
        await control.get_task("task")
    for ref in ("gone", "", "web.2.task1", "%"):
        with pytest.raises(NotFound, match="not found"):
            await control.get_task(ref)
        with pytest.raises(NotFound, match="not found"):
            await control.get_node(ref)
        with pytest.raises(NotFound, match="not found"):
            await control.get_service(ref)


async def test_two_nodes_of_one_hostname_are_ambiguous_but_by_id(world: ControlWorld):
    twin = world.manager.node("alpha2")
    same = replace(twin, description=replace(twin.description, hostname="host-alpha1"))
    await world.write(lambda tx: tx.update(same))
    with pytest.raises(InvalidArgument, match="ambiguous"):
        await world.control.get_node("host-alpha1")
    assert (await world.control.get_node("alpha1")).id == "alpha1"


def test_labels_may_hold_equals_signs():
    assert has_labels({"a": "b=c"}, ["a=b=c"])
    assert not has_labels({"a": "b=c"}, ["a=b"])
    assert has_labels({"a": "b"}, ["a", "a="])
