"""Services through the control API."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, OutOfSequence
from core.ids import is_id
from core.model import (
    LogLine,
    LogOptions,
    ManagerStatus,
    Node,
    NodeSpec,
    NodeState,
    PortConfig,
    Role,
    ServiceMode,
    ServiceSpec,
    TaskState,
    UpdateState,
    UpdateStatus,
)
from manager.control import TaskCounts
from tests.support.control_world import ControlWorld, host, ingress, make_spec


@pytest.fixture
async def world() -> ControlWorld:
    made = ControlWorld()
    await made.manager.found()
    return made


async def test_creating_is_idempotent_for_one_request(world: ControlWorld):
    first = await world.create("web", b"request")
    again = await world.create("web", b"request")
    assert again == first
    assert is_id(first.id)
    assert (first.spec_version, first.previous_spec) == (1, None)
    assert len(list(world.store.services())) == 1


async def test_one_request_makes_no_two_services(world: ControlWorld):
    await world.create("web", b"request")
    with pytest.raises(InvalidArgument, match="used before, to create service web"):
        await world.create("other", b"request")


@pytest.mark.parametrize("request_id", [b"", b"x" * 65])
async def test_a_request_id_has_bounds(world: ControlWorld, request_id: bytes):
    with pytest.raises(InvalidArgument, match="1 to 64 bytes"):
        await world.control.create_service(make_spec(), request_id)


async def test_a_name_is_taken_whatever_its_case(world: ControlWorld):
    await world.create("web", b"1")
    with pytest.raises(AlreadyExists, match="name conflicts with an existing object: service WEB already exists"):
        await world.create("WEB", b"2")


async def test_a_service_without_a_name_gets_one_that_stays(world: ControlWorld):
    first = await world.create("", b"1")
    again = await world.create("", b"1")
    other = await world.create("", b"2")
    assert first.spec.name == again.spec.name != other.spec.name
    assert first.spec.name.count("_") == 2


async def test_nothing_is_stored_of_a_service_that_is_refused(world: ControlWorld):
    index = world.store.index
    with pytest.raises(InvalidArgument):
        await world.create("we b", b"1")
    assert world.store.index == index


async def test_an_update_keeps_the_previous_spec_and_counts_the_version(world: ControlWorld):
    service = await world.create()
    changed = await world.change(service, replicas=3)
    assert (changed.spec.replicas, changed.previous_spec) == (3, service.spec)
    assert changed.spec_version == 2
    assert changed.meta.version > service.meta.version


async def test_an_update_from_a_stale_version_is_refused(world: ControlWorld):
    service = await world.create()
    await world.change(service, replicas=3)
    with pytest.raises(OutOfSequence, match=r"^update out of sequence$"):
        await world.control.update_service(service.id, service.meta.version, service.spec)


async def test_the_same_spec_again_is_no_new_version(world: ControlWorld):
    service = await world.create()
    same = await world.change(service)
    assert same == service


async def test_the_same_spec_again_goes_on_with_a_paused_update(world: ControlWorld):
    service = await world.create()
    paused = replace(service, update_status=UpdateStatus(UpdateState.PAUSED))
    await world.write(lambda tx: tx.update(paused))
    resumed = await world.change(service)
    assert (resumed.update_status, resumed.spec_version, resumed.previous_spec) == (None, 2, None)


async def test_API_01_renaming_and_changing_the_mode_are_refused(world: ControlWorld):
    service = await world.create()
    with pytest.raises(InvalidArgument, match="renaming services is not supported"):
        await world.change(service, name="other")
    with pytest.raises(InvalidArgument, match="service mode change is not allowed"):
        await world.change(service, mode=ServiceMode.GLOBAL)


async def test_UPD_11_rollback_swaps_and_a_second_one_returns(world: ControlWorld):
    service = await world.create(replicas=1)
    with pytest.raises(FailedPrecondition, match=f"service {service.id} does not have a previous spec"):
        await world.control.rollback_service(service.id, service.meta.version)
    changed = await world.change(service, replicas=3)
    back = await world.control.rollback_service(service.id, changed.meta.version)
    assert (back.spec.replicas, back.previous_spec, back.spec_version) == (1, changed.spec, 3)
    assert back.update_status == UpdateStatus(
        UpdateState.ROLLBACK_STARTED, world.clock.now(), message="manually requested rollback"
    )
    with pytest.raises(OutOfSequence):
        await world.control.rollback_service(service.id, changed.meta.version)
    again = await world.control.rollback_service(service.id, back.meta.version)
    assert (again.spec.replicas, again.previous_spec) == (3, back.spec)


@pytest.mark.parametrize("letters", [0, 12, 25])
async def test_removing_by_any_reference(world: ControlWorld, letters: int):
    service = await world.create()
    await world.control.remove_service(service.id[:letters] or "web")
    assert world.store.service_by_name("web") is None
    with pytest.raises(NotFound, match="service web not found"):
        await world.control.remove_service("web")


@pytest.mark.parametrize(
    ("held", "wanted", "refused"),
    [
        (ingress(8080), ingress(8080), "as an ingress port"),
        (ingress(8080), host(8080), "as an ingress port"),
        (host(8080), ingress(8080), "as a host-published port"),
        (host(8080), host(8080), ""),
        (ingress(8080), ingress(8081), ""),
        (ingress(8080), ingress(0), ""),
    ],
)
async def test_API_03_ports_of_other_services(world: ControlWorld, held: object, wanted: object, refused: str):
    first = await world.create("first", ports=[held])
    if not refused:
        second = await world.create("second", ports=[wanted])
        await world.change(second, replicas=2)
        return
    words = rf"port '8080' is already in use by service 'first' \({first.id}\) {refused}"
    with pytest.raises(InvalidArgument, match=words):
        await world.create("second", ports=[wanted])
    second = await world.create("second")
    with pytest.raises(InvalidArgument, match=words):
        await world.change(second, endpoint=make_spec(ports=[wanted]).endpoint)


async def test_API_03_an_automatic_port_of_another_service_is_in_use(world: ControlWorld):
    service = await world.create("first", ports=[ingress(0)])
    allocated = replace(service, endpoint=replace(service.endpoint, ports=(ingress(30_000),)))
    await world.write(lambda tx: tx.update(allocated))
    with pytest.raises(InvalidArgument, match="port '30000' is already in use"):
        await world.create("second", ports=[ingress(30_000)])
    # The service itself may fix it.
    await world.change(service, endpoint=make_spec(ports=[ingress(30_000)]).endpoint)


@pytest.mark.parametrize("publish", [ingress, host])
async def test_ports_that_the_nodes_themselves_use_are_not_published(
    world: ControlWorld, publish: Callable[[int], PortConfig]
):
    manager = Node(id="m", spec=NodeSpec(role=Role.MANAGER), manager=ManagerStatus("10.0.0.1:4377"))
    await world.write(lambda tx: tx.create(manager))
    for port in (7947, 4377, 4378):
        with pytest.raises(InvalidArgument, match=f"port '{port}' is one that the nodes themselves use"):
            await world.create("web", ports=[publish(port)])
    await world.create("web", ports=[publish(4379)])


async def test_a_rollback_to_a_port_that_is_taken_by_now_is_refused(world: ControlWorld):
    service = await world.create("first", ports=[ingress(8080)])
    service = await world.change(service, endpoint=None)
    await world.create("second", ports=[ingress(8080)])
    with pytest.raises(InvalidArgument, match="port '8080' is already in use by service 'second'"):
        await world.control.rollback_service(service.id, service.meta.version)


async def test_services_are_listed_with_their_counts(world: ControlWorld):
    web = await world.create("web", replicas=3)
    agents = await world.create("agents", mode=ServiceMode.GLOBAL)
    await world.create("plain")
    await world.add_task("t1", web)
    await world.add_task("t2", web, state=TaskState.STARTING)
    await world.add_task("t3", web, desired=TaskState.SHUTDOWN)
    await world.add_task("g1", agents, "n1", slot=0)
    await world.add_task("g2", agents, "n2", TaskState.PENDING, slot=0)
    await world.add_task("g3", agents, "n3", TaskState.SHUTDOWN, TaskState.SHUTDOWN, slot=0)
    listed = await world.control.list_services({})
    assert {service.spec.name: counts for service, counts in listed} == {
        "web": (1, 3, 0),
        "agents": (1, 2, 0),
        "plain": (0, 1, 0),
    }


async def test_reads_pass_the_barrier_first(world: ControlWorld):
    service = await world.create()
    await world.add_task("t", service)
    await world.add_node("n")
    before = world.barriers
    await world.control.get_cluster()
    await world.control.list_nodes({})
    await world.control.get_node("n")
    await world.control.list_services({})
    await world.control.get_service("web")
    await world.control.list_tasks({})
    await world.control.get_task("t")
    assert [line async for line in world.control.logs(["web"], [], LogOptions())] == []
    assert world.barriers == before + 8


async def test_logs_are_asked_for_by_id(world: ControlWorld):
    service = await world.create()
    await world.add_task("t1", service)
    world.lines = [LogLine(task_id="t1", data=b"hello\n")]
    options = LogOptions(tail=5)
    assert [line async for line in world.control.logs(["web"], ["t1"], options)] == world.lines
    assert world.log_calls == [([service.id], ["t1"], options)]
    with pytest.raises(NotFound, match="service gone not found"):
        async for _ in world.control.logs(["gone"], [], options):
            pass


async def test_a_spec_is_stored_as_it_was_sent(world: ControlWorld):
    spec = ServiceSpec(name="web", task=make_spec().task)
    service = await world.control.create_service(spec, b"1")
    assert service.spec == spec
    assert (await world.control.get_service("web")).spec.replicas is None


async def test_a_failed_node_counts_no_task_as_running(world: ControlWorld):
    await world.add_node("n1", Role.WORKER, NodeState.DOWN)
    service = await world.create("web", replicas=2)
    await world.add_task("t1", service, "n1", TaskState.ORPHANED)
    await world.add_task("t2", service, "n1", TaskState.FAILED)
    ((_, counts),) = await world.control.list_services({"name": ["web"]})
    assert counts == TaskCounts(0, 2)


@pytest.mark.parametrize("state", [UpdateState.UPDATING, UpdateState.COMPLETED, UpdateState.ROLLBACK_STARTED])
async def test_UPD_09_the_same_spec_again_does_not_restart_an_update(world: ControlWorld, state: UpdateState):
    service = await world.create()
    await world.write(lambda tx: tx.update(replace(service, update_status=UpdateStatus(state, started_at=7))))
    before = await world.control.get_service(service.id)
    assert await world.change(service) == before
