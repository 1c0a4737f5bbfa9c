"""Calls that meet a change of leader, a lost quorum, or a leader that is another: made again, or refused with why."""

import asyncio

import pytest

from core.errors import NoQuorum, NotLeader, Unavailable, UnknownOutcome
from core.ids import new_id
from manager.control import routed
from raft import Leadership
from tests.support.control_world import ControlWorld, make_spec
from tests.support.managers import Authority
from tests.support.routed_cluster import Cluster, Leader


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
