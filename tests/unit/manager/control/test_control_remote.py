"""A follower reads from its own memory and passes the rest on to the leader, over real gRPC with mutual TLS."""

import pytest

from core.errors import FailedPrecondition, InvalidArgument, NotFound, OutOfSequence
from core.model import (
    ContainerSpec,
    LogLine,
    LogOptions,
    Node,
    Placement,
    Rebalance,
    Role,
    ServiceSpec,
    TaskSpec,
    TaskState,
    UpdateOrder,
    UpdateState,
)
from manager.control import TaskCounts
from manager.control.api import Rotations
from raft import Leadership
from tests.support.control_world import ControlWorld, make_spec
from tests.support.routed_cluster import Cluster


async def test_every_change_reaches_the_leader_and_its_answer_comes_back(cluster: Cluster, world: ControlWorld):
    control = cluster.control
    service = await control.create_service(make_spec("web", labels={"a": "b"}), b"1")
    assert service == world.store.service_by_name("web")
    service = await control.rebalance_service("web", 2, UpdateOrder.START_FIRST)
    assert service.rebalance == Rebalance(2, UpdateOrder.START_FIRST, world.clock.now(), world.clock.now())
    changed = await control.update_service(service.id, service.meta.version, make_spec("web"))
    assert changed.previous_spec == service.spec
    back = await control.rollback_service(service.id, changed.meta.version)
    assert back.update_status is not None
    assert (back.spec, back.update_status.state) == (service.spec, UpdateState.ROLLBACK_STARTED)
    await control.remove_service("web")
    assert world.store.service_by_name("web") is None


async def test_an_order_that_is_none_of_ours_is_refused(cluster: Cluster, world: ControlWorld):
    await world.create("web")
    with pytest.raises(InvalidArgument, match="malformed order"):
        await cluster.control.rebalance_service("web", 1, 99)  # type: ignore[arg-type]


async def test_what_the_log_holds_is_read_from_this_managers_own_memory(cluster: Cluster):
    local = cluster.local
    local.manager.consensus.leadership = Leadership(is_leader=True)
    await local.manager.found()
    service = await local.create("web")
    await local.add_task("t1", service)
    await local.add_task("t2", service, slot=2)
    control = cluster.control
    assert await control.get_cluster() == await local.control.get_cluster()
    assert await control.get_service("web") == service
    assert await control.list_services({"name": ["web"]}) == [(service, TaskCounts(2, 1))]
    assert await control.list_tasks({"service": ["web"], "desired-state": ["running"]}) == list(local.store.tasks())
    local.barriers = 0
    assert await control.get_task("t2") == local.store.task("t2")
    assert local.barriers == 1
    assert list(cluster.leaders[0].world.store.services()) == []


async def test_nodes_and_the_cluster_over_the_wire(cluster: Cluster, world: ControlWorld):
    control = cluster.control
    await world.add_node("m", Role.MANAGER)
    node = await world.add_node("w")
    shown: list[Node] = await control.list_nodes({})
    assert shown == await world.control.list_nodes({})
    updated = await control.update_node("w", node.meta.version, node.spec)
    assert updated == await control.get_node("host-w")
    with pytest.raises(FailedPrecondition, match="is not down"):
        await control.remove_node("w", force=False)
    await control.remove_node("w", force=True)
    settings = await world.control.get_cluster()
    rotated = await control.update_cluster(settings.meta.version, settings.spec, Rotations(worker_token=True))
    assert rotated.root_ca.worker_token != settings.root_ca.worker_token


async def test_explanations_over_the_wire(cluster: Cluster, world: ControlWorld):
    control = cluster.control
    await world.add_node("m", Role.MANAGER)
    choosy = TaskSpec(ContainerSpec("nginx"), placement=Placement(("node.labels.a==b",)))
    service = await world.create("web", task=choosy)
    await world.add_task("t1", service, state=TaskState.PENDING)
    explained = await control.explain_service("web")
    assert explained == await world.control.explain_service("web")
    assert explained.waiting == 1
    assert explained.nodes[0].objections
    assert await control.explain_task("t1") == await world.control.explain_task("t1")
    planned = await control.dry_run_service(make_spec("other"))
    assert [node.planned for node in planned.nodes] == [1]
    with pytest.raises(NotFound):
        await control.explain_service("nothing")


async def test_errors_come_back_as_they_were_raised(cluster: Cluster):
    control = cluster.control
    service = await control.create_service(make_spec(), b"1")
    await control.update_service(service.id, service.meta.version, make_spec(replicas=2))
    with pytest.raises(OutOfSequence, match=r"^update out of sequence$"):
        await control.update_service(service.id, service.meta.version, make_spec())
    with pytest.raises(NotFound, match="service gone not found"):
        await control.remove_service("gone")
    with pytest.raises(InvalidArgument, match="valid as a DNS name"):
        await control.create_service(make_spec("we b"), b"2")


async def test_logs_are_streamed_and_end_with_their_reader(cluster: Cluster, world: ControlWorld):
    service = await cluster.control.create_service(make_spec(), b"1")
    world.lines = [LogLine(service.id, "n", "t", 7, True, b"oops\n"), LogLine(data=b"\xff\x00")]
    options = LogOptions(stderr=False, follow=True, since=5, tail=-1)
    assert [line async for line in cluster.control.logs(["web"], [], options)] == world.lines
    assert world.log_calls == [([service.id], [], options)]
    with pytest.raises(NotFound, match="task gone not found"):
        async for _ in cluster.control.logs([], ["gone"], options):
            pass


async def test_malformed_requests_are_refused(cluster: Cluster):
    spec = make_spec()
    object.__setattr__(spec, "mode", 7)
    with pytest.raises(InvalidArgument, match="malformed ServiceSpec"):
        await cluster.control.create_service(spec, b"1")
    assert isinstance(spec, ServiceSpec)
