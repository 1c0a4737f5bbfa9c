"""A follower reads from its own memory and passes the rest on to the leader, over real gRPC with mutual TLS."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest

from core.errors import (
    FailedPrecondition,
    InvalidArgument,
    NoQuorum,
    NotFound,
    NotLeader,
    OutOfSequence,
    Unavailable,
    UnknownOutcome,
)
from core.ids import new_id
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
from identity.access import AccessInterceptor
from identity.channels import SERVER_OPTIONS
from identity.credentials import Credentials
from manager.control import ControlServicer, RoutedControl, TaskCounts, routed
from manager.control.api import Rotations
from proto.control_pb2_grpc import add_ControlServicer_to_server
from raft import Leadership
from tests.support.control_world import ControlWorld, make_spec
from tests.support.managers import Authority


@dataclass
class Follower:
    """What a follower's log knows of who leads."""

    leadership: Leadership = field(default_factory=Leadership)
    absence: Unavailable = field(default_factory=NotLeader)
    """Why there is no leader, when there is none."""
    has_quorum: bool = True
    _watchers: list[Callable[[Leadership], None]] = field(default_factory=list)

    def no_leader(self) -> Unavailable:
        return self.absence

    def watch_leadership(self, callback: Callable[[Leadership], None]) -> Callable[[], None]:
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def follow(self, leader_id: str, addr: str, is_leader: bool = False) -> None:
        self.leadership = Leadership(self.leadership.term + 1, leader_id, addr, is_leader)
        for watcher in self._watchers:
            watcher(self.leadership)


class Leader:
    """A manager that serves the control API of its own store."""

    def __init__(self, authority: Authority) -> None:
        self.id = new_id()
        self.credentials = authority.credentials(self.id)
        self.world = ControlWorld()
        self.addr = ""
        self._server: grpc.aio.Server | None = None

    async def start(self) -> "Leader":
        await self.world.manager.found()
        interceptor = AccessInterceptor(lambda identity, access: None)
        server = self._server = grpc.aio.server(interceptors=[interceptor], options=list(SERVER_OPTIONS))
        add_ControlServicer_to_server(ControlServicer(self.world.control), server)
        port = server.add_secure_port(self.addr or "127.0.0.1:0", self.credentials.server_credentials())
        self.addr = f"127.0.0.1:{port}"
        await server.start()
        return self

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None


class Cluster:
    def __init__(self) -> None:
        self.authority = Authority()
        self.follower = Follower()
        self.credentials: Credentials = self.authority.credentials(new_id())
        self.local = ControlWorld()
        self.local.manager.consensus.leadership = Leadership()
        self.control = RoutedControl(self.local.control, self.follower, self.credentials)  # type: ignore[arg-type]
        self.leaders: list[Leader] = []

    async def add_leader(self) -> Leader:
        leader = await Leader(self.authority).start()
        self.leaders.append(leader)
        return leader

    def follow(self, leader: Leader) -> None:
        self.follower.follow(leader.id, leader.addr)


@asynccontextmanager
async def made_cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.follow(await cluster.add_leader())
        yield cluster
    finally:
        await cluster.control.close()
        await asyncio.gather(*(leader.stop() for leader in cluster.leaders))
        gc.collect()


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """Who waits for a leader waits for as long as it takes, unless a test says otherwise."""
    monkeypatch.setattr(routed, "SETTLE", 1e9)
    async with made_cluster() as made:
        yield made


@pytest.fixture
def world(cluster: Cluster) -> ControlWorld:
    return cluster.leaders[0].world


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


async def test_the_leader_answers_itself(cluster: Cluster):
    cluster.local.manager.consensus.leadership = Leadership(is_leader=True)
    await cluster.local.manager.found()
    cluster.follower.follow(cluster.credentials.identity.node_id, "", is_leader=True)
    await cluster.control.create_service(make_spec(), b"1")
    assert cluster.local.store.service_by_name("web") is not None


async def test_a_read_waits_for_the_next_leader_and_is_made_again(cluster: Cluster, world: ControlWorld):
    second = await cluster.add_leader()
    await second.world.add_node("new")
    await cluster.leaders[0].stop()
    reading = asyncio.create_task(cluster.control.list_nodes({}))
    await asyncio.sleep(0.05)
    assert not reading.done()
    cluster.follower.follow("", "")
    await asyncio.sleep(0.05)
    assert not reading.done()
    cluster.follow(second)
    assert [node.id for node in await reading] == ["new"]


async def test_a_read_of_our_own_memory_waits_for_a_leader_to_ask(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    async def barrier() -> None:
        asked.append(cluster.follower.leadership.leader_id)
        if not cluster.follower.leadership.leader_id:
            raise NotLeader

    monkeypatch.setattr(cluster.local.control, "_read_barrier", barrier)
    cluster.follower.follow("", "")
    reading = asyncio.create_task(cluster.control.list_services({}))
    await asyncio.sleep(0.05)
    cluster.follow(cluster.leaders[0])
    assert await reading == []
    assert asked == ["", cluster.leaders[0].id]


async def test_a_read_that_was_long_under_way_when_it_lost_its_leader_waits_for_the_next_all_the_same(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(routed, "SETTLE", 0.2)

    async def barrier() -> None:
        if not cluster.follower.leadership.leader_id:
            await asyncio.sleep(2 * routed.SETTLE)
            asyncio.get_running_loop().call_soon(cluster.follow, cluster.leaders[0])
            raise NotLeader

    monkeypatch.setattr(cluster.local.control, "_read_barrier", barrier)
    cluster.follower.follow("", "")
    assert await cluster.control.list_services({}) == []


async def test_a_write_that_was_not_made_is_made_by_the_next_leader(cluster: Cluster, world: ControlWorld):
    service = await world.create("web")
    world.manager.consensus.leadership = Leadership(2, "other", "other:2377", False)
    removing = asyncio.create_task(cluster.control.remove_service("web"))
    await asyncio.sleep(0.05)
    second = await cluster.add_leader()
    await second.world.create("web")
    cluster.follow(second)
    await removing
    assert second.world.store.service_by_name("web") is None
    assert world.store.service(service.id) is not None


async def test_a_creation_that_was_cut_off_is_made_again_under_the_same_id(cluster: Cluster, world: ControlWorld):
    """The first leader dies with the answer under way; the second one has what it committed."""
    second = await cluster.add_leader()

    async def commit_and_die(command: bytes, request_id: bytes) -> int:
        await second.world.create("web", b"request")
        await cluster.leaders[0].stop()
        raise AssertionError("cancelled with its server")

    world.manager.consensus.propose = commit_and_die  # type: ignore[method-assign]
    creating = asyncio.create_task(cluster.control.create_service(make_spec(), b"request"))
    await asyncio.sleep(0.1)
    cluster.follow(second)
    service = await creating
    assert [service] == list(second.world.store.services())


async def test_another_write_that_was_cut_off_is_not_made_again(
    cluster: Cluster, world: ControlWorld, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(routed, "SETTLE", 0.05)
    await world.create("web")

    async def die(command: bytes, request_id: bytes) -> int:
        await cluster.leaders[0].stop()
        raise AssertionError("cancelled with its server")

    world.manager.consensus.propose = die  # type: ignore[method-assign]
    with pytest.raises(UnknownOutcome, match=r"was lost; .*may have been made"):
        await cluster.control.remove_service("web")


@pytest.mark.parametrize("call", ["list_nodes", "list_services", "remove_service"])
async def test_without_a_quorum_a_call_is_refused_with_how_many_can_be_reached(
    cluster: Cluster, call: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(routed, "GATHER", 0.05)

    async def barrier() -> None:
        raise cluster.follower.absence

    monkeypatch.setattr(cluster.local.control, "_read_barrier", barrier)
    cluster.follower.absence = NoQuorum(2, 5)
    cluster.follower.has_quorum = False
    cluster.follower.follow("", "")
    with pytest.raises(NoQuorum, match="2 of 5 managers can be reached and 3 are needed"):
        await getattr(cluster.control, call)({} if call.startswith("list") else "web")


async def test_a_quorum_that_is_lost_while_a_call_waits_ends_the_wait(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(routed, "GATHER", 0.05)
    cluster.follower.follow("", "")
    removing = asyncio.create_task(cluster.control.remove_service("web"))
    await asyncio.sleep(0.2)
    assert not removing.done()
    cluster.follower.absence, cluster.follower.has_quorum = NoQuorum(2, 5), False
    with pytest.raises(NoQuorum):
        await removing


async def test_a_creation_of_unknown_outcome_is_not_made_again_without_a_quorum(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(routed, "GATHER", 1e9)

    async def unknown(command: bytes, request_id: bytes) -> int:
        cluster.follower.has_quorum = False
        raise UnknownOutcome

    cluster.local.manager.consensus.leadership = Leadership(is_leader=True)
    await cluster.local.manager.found()
    cluster.local.manager.consensus.propose = unknown  # type: ignore[method-assign]
    cluster.follower.follow(cluster.credentials.identity.node_id, "", is_leader=True)
    cluster.follower.absence = NoQuorum(2, 5)
    with pytest.raises(UnknownOutcome, match=r"2 of 5 managers can be reached.*may have been made"):
        await cluster.control.create_service(make_spec(), b"1")


@pytest.mark.parametrize("gather", [0.0, 0.05])
async def test_a_creation_that_was_cut_off_and_meets_a_lost_quorum_says_both(
    cluster: Cluster, world: ControlWorld, gather: float, monkeypatch: pytest.MonkeyPatch
):
    """Whether the connection breaks before or after the wait for a quorum is over."""
    monkeypatch.setattr(routed, "GATHER", gather)
    reached = asyncio.Event()

    async def silent(command: bytes, request_id: bytes) -> int:
        reached.set()
        return await asyncio.Future()

    world.manager.consensus.propose = silent  # type: ignore[method-assign]
    creating = asyncio.create_task(cluster.control.create_service(make_spec(), b"1"))
    await reached.wait()
    cluster.follower.absence, cluster.follower.has_quorum = NoQuorum(1, 3), False
    cluster.follower.follow("", "")
    with pytest.raises(UnknownOutcome, match=r"1 of 3 managers can be reached.*may have been made"):
        await creating


async def test_a_leader_that_cannot_be_reached_is_not_named_when_the_quorum_is_gone_too(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(routed, "GATHER", 0.05)
    await cluster.leaders[0].stop()
    cluster.follower.absence, cluster.follower.has_quorum = NoQuorum(1, 3), False
    with pytest.raises(NoQuorum):
        await cluster.control.remove_service("web")


async def test_a_leader_without_a_quorum_refuses_at_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(routed, "GATHER", 1e9)

    async def no_quorum(command: bytes, request_id: bytes) -> int:
        raise NoQuorum(2, 5)

    cluster.local.manager.consensus.leadership = Leadership(is_leader=True)
    await cluster.local.manager.found()
    await cluster.local.create("web")
    cluster.local.manager.consensus.propose = no_quorum  # type: ignore[method-assign]
    cluster.follower.absence, cluster.follower.has_quorum = NoQuorum(2, 5), False
    cluster.follower.follow(cluster.credentials.identity.node_id, "", is_leader=True)
    with pytest.raises(NoQuorum):
        await cluster.control.remove_service("web")


@pytest.mark.parametrize(("call", "error"), [("list_nodes", Unavailable), ("remove_service", UnknownOutcome)])
async def test_a_call_to_a_leader_that_fell_silent_is_cut_off(
    cluster: Cluster, world: ControlWorld, call: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(routed, "SETTLE", 0.05)
    await world.create("web")
    reached = asyncio.Event()

    async def silent(*_: object) -> int:
        reached.set()
        return await asyncio.Future()

    world.manager.consensus.propose = silent  # type: ignore[method-assign]
    monkeypatch.setattr(world.control, "_read_barrier", silent)
    calling = asyncio.create_task(getattr(cluster.control, call)({} if call == "list_nodes" else "web"))
    await reached.wait()
    cluster.follower.follow("", "")
    with pytest.raises(error, match=r"was lost|no leader"):
        await calling


async def test_without_a_leader_the_wait_ends_with_the_reason(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(routed, "SETTLE", 0.05)
    cluster.follower.follow("", "")
    with pytest.raises(NotLeader, match="the cluster has no leader"):
        await cluster.control.list_nodes({})
    with pytest.raises(NotLeader, match="the cluster has no leader"):
        await cluster.control.remove_service("web")


async def test_a_leader_that_cannot_be_reached_is_named(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(routed, "SETTLE", 0.05)
    leader = cluster.leaders[0]
    await leader.stop()
    for call in (cluster.control.list_nodes({}), cluster.control.remove_service("web")):
        with pytest.raises(Unavailable, match=f"the leader, {leader.addr}, cannot be reached; try again"):
            await call


async def test_a_lost_quorum_is_the_leaders_answer(
    cluster: Cluster, world: ControlWorld, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(routed, "SETTLE", 0.05)

    async def no_quorum(command: bytes, request_id: bytes) -> int:
        raise NoQuorum(1, 3)

    world.manager.consensus.propose = no_quorum  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="1 of 3 managers can be reached and 2 are needed"):
        await cluster.control.create_service(make_spec(), b"1")


async def test_calls_go_on_after_our_certificate_was_replaced(cluster: Cluster):
    await cluster.control.create_service(make_spec(), b"1")
    new = cluster.authority.credentials(cluster.credentials.identity.node_id).bundle
    cluster.credentials.replace(new)
    await cluster.control.remove_service("web")


async def test_only_the_leader_that_was_named_is_talked_to(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    """Another manager at the leader's address is not it."""
    monkeypatch.setattr(routed, "SETTLE", 0.05)
    cluster.follower.follow(new_id(), cluster.leaders[0].addr)
    with pytest.raises(Unavailable):
        await cluster.control.list_nodes({})


async def test_a_leader_of_another_cluster_is_said_to_be_that_and_is_sent_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(routed, "SETTLE", 0.05)
    stranger = await Leader(Authority()).start()
    cluster.leaders.append(stranger)
    cluster.follow(stranger)
    with pytest.raises(Unavailable, match=f"{stranger.addr}: whoever answers there does not prove to be a manager"):
        await cluster.control.remove_service("web")


async def test_malformed_requests_are_refused(cluster: Cluster):
    spec = make_spec()
    object.__setattr__(spec, "mode", 7)
    with pytest.raises(InvalidArgument, match="malformed ServiceSpec"):
        await cluster.control.create_service(spec, b"1")
    assert isinstance(spec, ServiceSpec)
