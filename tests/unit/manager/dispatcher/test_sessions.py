"""Sessions over real streams and real certificates."""

import asyncio
import time
from dataclasses import replace

import pytest

from core.clock import SECOND, ManualClock
from core.codec import decode, encode
from core.errors import InvalidArgument, NotLeader, PermissionDenied, Removed, Unavailable
from core.model import (
    IngressAck,
    IngressState,
    Node,
    NodeDescription,
    NodeState,
    NodeStatus,
    PortError,
    Role,
    Task,
    TaskState,
)
from identity.certificates import root_fingerprint
from identity.root import create_root
from manager.ca import begin_rotation
from manager.ca.rotation import finish_rotation
from manager.dispatcher import reign
from manager.store import Transaction
from proto import dispatcher_pb2 as pb
from raft import Leadership, Member
from tests.support.leading import WEB, Leader, leading, make_service, make_task
from tests.support.waiting import eventually


def state_of(leader: Leader, node_id: str) -> NodeState:
    return leader.node(node_id).status.state


async def becomes(leader: Leader, node_id: str, state: NodeState) -> None:
    await eventually(f"{node_id} is {state.name}", lambda: state_of(leader, node_id) is state)


async def test_DSP_01_each_registration_is_a_new_session_and_ends_the_one_before() -> None:
    async with leading() as leader, leader.agent("n1") as first:
        await first.welcomed()
        async with leader.agent("n1") as second:
            await second.welcomed()
            assert first.session_id
            assert second.session_id not in ("", first.session_id)
            assert isinstance(await first.end(), Unavailable)
            assert leader.dispatcher.sessions["n1"].id == second.session_id
        await eventually("the session has ended", lambda: not leader.dispatcher.sessions)


async def test_DSP_01_a_call_with_an_old_or_empty_session_id_is_refused() -> None:
    async with leading() as leader, leader.agent("n1") as first:
        await first.welcomed()
        async with leader.agent("n1") as second:
            await second.welcomed()
            for session_id in ("", first.session_id, "nonsense"):
                with pytest.raises(InvalidArgument, match="not the session"):
                    await second.publish(pb.PublishLogsRequest(session_id=session_id))


async def test_DSP_01_a_node_that_is_unknown_or_removed_gets_no_session() -> None:
    async with leading() as leader:
        # It is refused before it says anything, and what it would say might hide from it why.
        async with leader.silent_agent("stranger") as stranger:
            assert isinstance(await stranger.end(), Unavailable)
        async with leader.agent("n1") as agent:
            await agent.welcomed()
            await leader.change(lambda tx: tx.delete(Node, "n1"))
            assert isinstance(await agent.end(), Removed)


async def test_a_session_begins_with_a_registration() -> None:
    async with leading() as leader, leader.silent_agent("n1") as agent:
        await agent.send(heartbeat=pb.Heartbeat())
        assert isinstance(await agent.end(), InvalidArgument)


async def test_DSP_02_more_than_three_registrations_in_eight_seconds_are_refused() -> None:
    clock = ManualClock()
    async with leading(clock) as leader:
        for _ in range(3):
            async with leader.agent("n1") as agent:
                await agent.welcomed()
        async with leader.agent("n1") as agent:
            assert "too many sessions" in str(await agent.end())
        clock.advance(8 * SECOND)
        async with leader.agent("n1") as agent:
            await agent.welcomed()


async def test_a_registration_makes_the_node_ready_with_its_description_and_address() -> None:
    async with leading() as leader:
        async with leader.agent("n1", description=NodeDescription(hostname="vm1"), addr="10.0.0.1") as agent:
            await agent.welcomed()
            node = leader.node("n1")
            assert node.status == NodeStatus(NodeState.READY, "", "10.0.0.1")
            assert node.description == NodeDescription(hostname="vm1")
        async with leader.agent("n2") as agent:
            await agent.welcomed()
            assert leader.node("n2").status.addr == "127.0.0.1"


@pytest.mark.parametrize("addr", ["0.0.0.0", "224.0.0.1", "a b", "x" * 300, "-"])
async def test_an_address_that_cannot_be_reached_is_refused(addr: str) -> None:
    async with leading() as leader, leader.agent("n1", addr=addr) as agent:
        assert isinstance(await agent.end(), InvalidArgument)
        assert state_of(leader, "n1") is not NodeState.READY


async def test_a_node_without_an_engine_is_down_with_the_reason_and_keeps_its_session() -> None:
    async with leading() as leader, leader.agent("n1", description=NodeDescription(engine_error="no engine")) as agent:
        await agent.welcomed()
        assert leader.node("n1").status == NodeStatus(NodeState.DOWN, "no engine", "127.0.0.1")
        assert "n1" in leader.dispatcher.sessions


async def test_a_follower_names_the_leader() -> None:
    async with leading() as leader:
        async with leader.agent("n1") as agent:
            await agent.welcomed()
            await leader.resign("two:2377")
            error = await agent.end()
            assert isinstance(error, NotLeader)
            assert error.leader == "two:2377"
        async with leader.agent("n1") as agent:
            error = await agent.end()
            assert isinstance(error, NotLeader)
            assert error.leader == "two:2377"


async def test_DSP_03_a_silent_node_is_down_and_a_broken_connection_makes_it_suspect_at_once() -> None:
    clock = ManualClock()
    async with leading(clock) as leader:
        async with leader.agent("n1") as agent:
            await agent.welcomed()
            assert not leader.dispatcher.is_suspect("n1")
        await eventually("it is suspect", lambda: leader.dispatcher.is_suspect("n1"))
        assert leader.suspicions
        assert state_of(leader, "n1") is NodeState.READY
        clock.advance(3 * SECOND)
        await becomes(leader, "n1", NodeState.DOWN)
        assert leader.node("n1").status.message == "heartbeat failure"
        assert not leader.dispatcher.is_suspect("n1")


async def test_DSP_03_heartbeats_keep_a_node_alive_and_do_not_touch_the_log() -> None:
    clock = ManualClock()
    async with leading(clock) as leader, leader.agent("n1") as agent, leader.agent("n2") as silent:
        await agent.welcomed()
        await silent.welcomed()
        for _ in range(2):
            clock.advance(2 * SECOND)
            index = leader.store.index
            await agent.send(heartbeat=pb.Heartbeat())
            await agent.report(1, unknown=TaskState.RUNNING)
            await agent.next("status_ack")
        await becomes(leader, "n2", NodeState.DOWN)
        assert isinstance(await silent.end(), Unavailable)
        assert state_of(leader, "n1") is NodeState.READY
        assert leader.store.index == index + 1


async def ready(leader: Leader) -> None:
    def write(tx: Transaction) -> None:
        for node in list(tx.nodes()):
            tx.update(replace(node, status=NodeStatus(NodeState.READY)))

    await leader.change(write)


async def test_DSP_04_after_a_leader_change_nodes_are_unknown_then_down_unless_they_register() -> None:
    clock = ManualClock()
    async with leading(clock, prepare=ready) as leader:
        await becomes(leader, "n1", NodeState.UNKNOWN)
        await becomes(leader, "n2", NodeState.UNKNOWN)
        async with leader.agent("n1") as agent:
            await agent.welcomed()
            assert state_of(leader, "n1") is NodeState.READY
            clock.advance(2 * SECOND)
            await agent.send(heartbeat=pb.Heartbeat())
            for sequence in (1, 2):
                await agent.report(sequence)
                await agent.next("status_ack")
                assert state_of(leader, "n2") is NodeState.UNKNOWN
                clock.advance(1 * SECOND)
            await becomes(leader, "n2", NodeState.DOWN)
            assert state_of(leader, "n1") is NodeState.READY


async def test_DSP_04_a_node_that_is_down_stays_down() -> None:
    async def down(leader: Leader) -> None:
        await ready(leader)
        await leader.change(lambda tx: tx.update(replace(tx.node("n2"), status=NodeStatus(NodeState.DOWN, "off"))))

    async with leading(prepare=down) as leader:
        await becomes(leader, "n1", NodeState.UNKNOWN)
        assert leader.node("n2").status == NodeStatus(NodeState.DOWN, "off")


async def test_DSP_05_assignments_are_complete_then_incremental_and_numbered() -> None:
    async with leading() as leader:
        await leader.put(make_task("a", "n1"), make_task("b", "n2"), make_task("new", "n1", TaskState.PENDING))
        async with leader.agent("n1") as agent:
            first = await agent.next("assignments")
            assert first.kind == pb.Assignments.COMPLETE
            assert [task.id for task in first.tasks.tasks] == ["a"]
            await leader.put(make_task("c", "n1"))
            second = await agent.next("assignments")
            assert second.kind == pb.Assignments.INCREMENTAL
            assert [task.id for task in second.tasks.tasks] == ["c"]
            assert second.applies_to == first.results_in
            await leader.change(lambda tx: tx.delete(Task, "a"))
            third = await agent.next("assignments")
            assert list(third.removed) == ["a"]
            assert third.applies_to == second.results_in < third.results_in


async def test_DSP_08_what_happens_in_one_turn_is_one_message() -> None:
    async with leading() as leader, leader.agent("n1") as agent:
        await agent.next("assignments")

        leader.apply(lambda tx: [tx.create(make_task(task_id, "n1")) for task_id in ("x", "y")])
        leader.apply(lambda tx: tx.delete(Task, "x"))
        only = await agent.next("assignments")
        assert [task.id for task in only.tasks.tasks] == ["y"]
        assert not only.removed


async def test_DSP_09_reports_are_acknowledged_once_they_are_committed() -> None:
    async with leading() as leader:
        await leader.put(make_task("a", "n1"))
        async with leader.agent("n1") as agent:
            await agent.welcomed()
            await agent.report(7, a=TaskState.RUNNING)
            assert (await agent.next("status_ack")).sequence == 7
            assert leader.store.task("a").status.state is TaskState.RUNNING
            assert sum(message.HasField("assignments") for message in agent.seen) == 1, "its own report is not echoed"


async def test_DSP_09_a_report_on_another_nodes_task_ends_the_session() -> None:
    async with leading() as leader:
        await leader.put(make_task("b", "n2"))
        async with leader.agent("n1") as agent:
            await agent.welcomed()
            await agent.report(1, b=TaskState.RUNNING)
            assert isinstance(await agent.end(), PermissionDenied)
        assert leader.store.task("b").status.state is TaskState.ASSIGNED


async def test_DSP_10_agents_are_told_of_managers_and_their_own_node_when_those_change() -> None:
    async with leading() as leader, leader.agent("n1") as agent:
        info = await agent.welcomed()
        assert info.node.id == "n1"
        assert info.root_ca == leader.cluster.root_ca.cert
        assert info.heartbeat_period == SECOND
        assert [peer.addr for peer in info.managers] == [leader.addr]
        spec = replace(leader.cluster.spec, heartbeat_period=2 * SECOND)
        await leader.change(lambda tx: tx.update(replace(tx.cluster, spec=spec)))
        assert (await agent.next("info")).heartbeat_period == 2 * SECOND
        leader.members.append(Member("two", "two:2377", reachable=True, leader=False))
        assert [peer.addr for peer in (await agent.next("info")).managers] == [leader.addr, "two:2377"]
        await leader.change(lambda tx: tx.update(replace(tx.node("n1"), role=Role.MANAGER)))
        assert (await agent.next("info")).node.role == Role.MANAGER


async def test_DSP_10_agents_are_told_of_roots_and_those_whose_turn_it_is_of_the_one_to_be_certified_by() -> None:
    async with leading() as leader, leader.agent("n1") as agent:
        old = leader.cluster.root_ca
        assert (await agent.welcomed()).root_ca == old.cert
        now = time.time_ns()
        cert, key = create_root(now)
        await leader.change(lambda tx: tx.update(begin_rotation(leader.cluster, cert, key, now)))
        told = await agent.next("info")
        assert (told.root_ca, told.certificate_issuer) == (old.cert + cert, "")
        await leader.change(lambda tx: tx.update(replace(tx.node("n1"), certificate_due=True)))
        assert (await agent.next("info")).certificate_issuer == root_fingerprint(cert)
        await leader.change(lambda tx: tx.update(replace(tx.node("n1"), certificate_due=False)))
        assert (await agent.next("info")).certificate_issuer == ""
        await leader.change(lambda tx: tx.update(finish_rotation(leader.cluster)))
        assert (await agent.next("info")).root_ca == cert


async def test_CA_06_what_a_node_holds_and_trusts_is_its_own_word() -> None:
    async with leading() as leader:
        described = NodeDescription(hostname="host", certificate_issuer="a" * 64, trust_root="b" * 64)
        async with leader.agent("n1", description=described) as agent:
            await agent.welcomed()
            assert leader.node("n1").description == described
            await agent.send(certificate=pb.HeldCertificate(issuer="a" * 64, trust_root="c" * 64))
            told = replace(described, trust_root="c" * 64)
            await eventually("its new trust", lambda: leader.node("n1").description == told)
            await agent.send(certificate=pb.HeldCertificate(issuer="x" * 65))
            assert isinstance(await agent.end(), InvalidArgument)
            assert leader.node("n1").description == told


async def test_a_backend_is_released_once_every_live_node_follows_routes_without_it() -> None:
    async with leading() as leader:
        await leader.put(make_service(ports=WEB), make_task("a", "n1", TaskState.RUNNING, ports=WEB))
        async with leader.agent("n1") as one, leader.agent("n2") as two:
            for agent in (one, two):
                state = decode(IngressState, await agent.next("ingress"))
                assert [backend.task_id for backend in state.ports[0].backends] == ["a"]
                assert state.nodes == ("n1", "n2")
            await leader.put(make_task("a", "n1", TaskState.RUNNING, TaskState.SHUTDOWN, ports=WEB))
            stop = await one.next("assignments")
            while not stop.tasks.tasks or stop.kind == pb.Assignments.COMPLETE:
                stop = await one.next("assignments")
            assert not stop.released
            version = (await one.next("ingress")).version
            await one.send(ingress_ack=encode(IngressAck(version)))
            await two.send(ingress_ack=encode(IngressAck(version)))
            assert list((await one.next("assignments")).released) == ["a"]


async def test_a_backend_is_released_after_two_seconds_whoever_is_silent() -> None:
    async with leading() as leader:
        await leader.put(make_service(ports=WEB), make_task("a", "n1", TaskState.RUNNING, ports=WEB))
        async with leader.agent("n1") as one:
            await one.next("ingress")
            await leader.put(make_task("a", "n1", TaskState.RUNNING, TaskState.SHUTDOWN, ports=WEB))
            released = await one.next("assignments")
            while not released.released:
                released = await one.next("assignments")
            assert list(released.released) == ["a"]


async def test_a_task_that_was_no_backend_is_released_at_once() -> None:
    async with leading() as leader:
        await leader.put(make_service(ports=WEB), make_task("a", "n1", TaskState.PREPARING, ports=WEB))
        async with leader.agent("n1") as one:
            await one.next("assignments")
            await leader.put(make_task("a", "n1", TaskState.PREPARING, TaskState.SHUTDOWN, ports=WEB))
            both = await one.next("assignments")
            assert list(both.released) == ["a"]
            assert both.tasks.tasks[0].desired_state == TaskState.SHUTDOWN


async def test_a_port_that_a_node_cannot_serve_is_shown_on_the_node() -> None:
    async with leading() as leader:
        await leader.put(make_service(ports=WEB))
        async with leader.agent("n1") as agent:
            version = (await agent.next("ingress")).version
            errors = (PortError(8080, "address already in use"), PortError(9999, "is published by nobody"))
            await agent.send(ingress_ack=encode(IngressAck(version, errors)))
            await eventually("it is shown", lambda: leader.node("n1").port_errors == errors[:1])
            await agent.send(ingress_ack=encode(IngressAck(version)))
            await eventually("it is gone", lambda: not leader.node("n1").port_errors)


async def test_registrations_that_the_log_refuses_do_not_count() -> None:
    async with leading() as leader:
        leads = leader.consensus.leadership
        leader.consensus.leadership = Leadership()
        for _ in range(4):
            async with leader.agent("n1") as agent:
                assert isinstance(await agent.end(), Unavailable)
        leader.consensus.leadership = leads
        async with leader.agent("n1") as agent:
            await agent.welcomed()


async def test_a_report_that_the_log_refuses_is_not_acknowledged_and_may_be_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusal = asyncio.Event()

    async def refuse(command: bytes, request_id: bytes) -> int:
        await refusal.wait()
        raise NotLeader

    async with leading() as leader:
        await leader.put(make_task("a", "n1"))
        async with leader.agent("n1") as agent:
            await agent.welcomed()
            inbox = leader.dispatcher.sessions["n1"].inbox
            with monkeypatch.context() as patch:
                patch.setattr(leader.consensus, "propose", refuse)
                await agent.report(1, a=TaskState.RUNNING)
                await eventually("it is being written", lambda: inbox.writing)
                refusal.set()
                await eventually("it is refused", lambda: not inbox.writing)
            await agent.report(2, a=TaskState.RUNNING)
            assert (await agent.next("status_ack")).sequence == 2
            assert leader.store.task("a").status.state is TaskState.RUNNING


async def test_a_demoted_manager_is_told_and_its_session_cut_if_it_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reign, "_ROLE_LIMIT", 1.0)
    async with leading() as leader:
        await leader.add_node("m1", Role.MANAGER)
        old = leader.issuer.credentials("m1", Role.MANAGER, cluster_id=leader.cluster.id)
        async with leader.silent_agent("m1", old) as agent:
            await agent.register()
            assert (await agent.welcomed()).node.role == Role.MANAGER
            await leader.change(lambda tx: tx.update(replace(tx.node("m1"), role=Role.WORKER)))
            assert (await agent.next("info")).node.role == Role.WORKER
            assert "no manager any more" in str(await agent.end())
