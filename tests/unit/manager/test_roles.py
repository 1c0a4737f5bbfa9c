"""Promotion and demotion: what is to be done, and that it is done."""

import asyncio
from dataclasses import replace

import pytest

from core.clock import ManualClock
from core.errors import FailedPrecondition, NotLeader
from core.model import Node, NodeSpec, Role
from manager import roles
from manager.roles import RoleManager, Step, next_steps
from raft import Member
from tests.support.one_manager import OneManager
from tests.support.waiting import eventually


def node(node_id: str, wanted: Role, role: Role) -> Node:
    return Node(id=node_id, spec=NodeSpec(role=wanted), role=role)


def member(node_id: str, leader: bool = False) -> Member:
    return Member(node_id, f"{node_id}:2377", reachable=True, leader=leader)


def test_ROL_01_nodes_that_are_what_they_shall_be_are_left_alone():
    nodes = [node("m", Role.MANAGER, Role.MANAGER), node("w", Role.WORKER, Role.WORKER)]
    assert next_steps(nodes, [member("m", True)]) == []


def test_ROL_01_a_promotion_is_a_certificate_first():
    """The node joins the log itself, once it has it."""
    assert next_steps([node("w", Role.MANAGER, Role.WORKER)], [member("m", True)]) == [Step("w", Role.MANAGER)]


def test_ROL_01_a_demotion_leaves_the_log_first():
    members = [member("a", True), member("b")]
    assert next_steps([node("b", Role.WORKER, Role.MANAGER)], members) == [Step("b", Role.WORKER, leave_raft=True)]
    assert next_steps([node("b", Role.WORKER, Role.MANAGER)], members[:1]) == [Step("b", Role.WORKER)]


def test_ROL_01_a_member_that_has_a_workers_certificate_is_taken_out():
    """The last leader was cut off half-way, or the node joined with an old certificate."""
    members = [member("a", True), member("b")]
    assert next_steps([node("b", Role.WORKER, Role.WORKER)], members) == [Step("b", Role.WORKER, leave_raft=True)]


def test_ROL_01_a_worker_that_is_a_member_leaves_the_log_before_it_is_promoted_again():
    """Its join was under way when it was demoted; it has thrown its log away since."""
    members = [member("a", True), member("b")]
    assert next_steps([node("b", Role.MANAGER, Role.WORKER)], members) == [Step("b", Role.WORKER, leave_raft=True)]


def test_ROL_01_promotions_come_before_demotions():
    nodes = [node("old", Role.WORKER, Role.MANAGER), node("new", Role.MANAGER, Role.WORKER)]
    assert [step.node_id for step in next_steps(nodes, [])] == ["new", "old"]


class World:
    """One manager whose log's membership is played. `refusals` are raised by the next removals."""

    def __init__(self) -> None:
        self.manager = OneManager(ManualClock())
        self.members: dict[str, Member] = {}
        self.refusals: list[Exception] = []
        self.removed: list[tuple[str, Role]] = []
        self.away: set[str] = set()
        """Nodes that have not come with a worker's certificate."""
        consensus = self.manager.consensus
        consensus.members = lambda: tuple(self.members.values())  # type: ignore[method-assign]
        consensus.remove_member = self._remove  # type: ignore[method-assign]
        self.roles = RoleManager(
            self.manager.store, self.manager.replicator, consensus, lambda node_id: node_id not in self.away
        )

    async def add(self, node_id: str, role: Role) -> None:
        await self.manager.add_node(node_id, role)
        if role is Role.MANAGER:
            self.members[node_id] = member(node_id, leader=not self.members)

    async def want(self, node_id: str, role: Role) -> None:
        wanted = replace(self.manager.node(node_id), spec=NodeSpec(role=role))
        await self.manager.change(lambda tx: tx.update(wanted))

    async def _remove(self, node_id: str) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.removed.append((node_id, self.manager.node(node_id).role))
        del self.members[node_id]


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(roles, "RETRY", 10_000_000)
    made = World()
    await made.manager.found()
    await made.add("a", Role.MANAGER)
    await made.add("b", Role.MANAGER)
    await made.add("c", Role.MANAGER)
    await made.add("w", Role.WORKER)
    running = asyncio.create_task(made.roles.run())
    await asyncio.sleep(0)
    yield made
    running.cancel()


async def test_ROL_01_a_worker_becomes_a_manager(world: World):
    await world.want("w", Role.MANAGER)
    await eventually("the role is changed", lambda: world.manager.node("w").role is Role.MANAGER)
    assert world.removed == []


async def test_ROL_01_a_manager_leaves_the_log_while_it_has_its_certificate(world: World):
    await world.want("b", Role.WORKER)
    await eventually("the role is changed", lambda: world.manager.node("b").role is Role.WORKER)
    assert world.removed == [("b", Role.MANAGER)]


async def test_ROL_01_several_demotions_are_made_one_after_another(world: World):
    await world.want("b", Role.WORKER)
    await world.want("c", Role.WORKER)
    await eventually(
        "the role is changed", lambda: [world.manager.node(name).role for name in "bc"] == [Role.WORKER, Role.WORKER]
    )
    assert list(world.members) == ["a"]


@pytest.mark.parametrize("refusal", [FailedPrecondition("a change is under way"), NotLeader("b:2377")])
async def test_ROL_01_what_cannot_be_done_yet_is_tried_again(world: World, refusal: Exception):
    world.refusals.append(refusal)
    await world.want("b", Role.WORKER)
    await eventually("the role is changed", lambda: world.manager.node("b").role is Role.WORKER)
    assert world.removed == [("b", Role.MANAGER)]


async def test_ROL_01_a_refused_demotion_does_not_hold_up_a_promotion(world: World):
    world.refusals += [FailedPrecondition("no quorum without it")] * 1_000
    await world.want("b", Role.WORKER)
    await world.want("w", Role.MANAGER)
    await eventually("the role is changed", lambda: world.manager.node("w").role is Role.MANAGER)
    assert world.manager.node("b").role is Role.MANAGER


async def test_ROL_01_promoted_again_while_it_left_it_becomes_a_worker_first(world: World):
    """It has left the log and must join it anew, so it must stop being a manager first."""
    step = Step("b", Role.WORKER, leave_raft=True)
    await world.manager.change(lambda tx: roles.set_role(tx, step))
    await eventually("the role is changed", lambda: world.manager.node("b").role is Role.MANAGER)
    versions = world.manager.node("b").meta.version
    assert versions > world.manager.node("c").meta.version


async def test_ROL_01_who_is_demoted_and_at_once_promoted_again_stays_a_worker_until_it_comes_as_one(world: World):
    """Otherwise it would never hear that it was one, and keep a log with which nobody lets it in."""
    world.away.add("b")
    await world.want("b", Role.WORKER)
    await eventually("the role is changed", lambda: world.manager.node("b").role is Role.WORKER)
    await world.want("b", Role.MANAGER)
    await world.want("w", Role.MANAGER)
    await eventually("another is promoted meanwhile", lambda: world.manager.node("w").role is Role.MANAGER)
    assert world.manager.node("b").role is Role.WORKER
    world.away.clear()
    await eventually("the role is changed", lambda: world.manager.node("b").role is Role.MANAGER)


async def test_ROL_01_a_worker_whose_join_comes_through_late_is_taken_out_and_promoted_then(world: World):
    """Nothing is committed to the store when that happens."""
    world.members["w"] = member("w")
    await eventually("it is taken out", lambda: world.removed == [("w", Role.WORKER)])
    world.members["w"] = member("w")
    await world.want("w", Role.MANAGER)
    await eventually("it is promoted", lambda: world.manager.node("w").role is Role.MANAGER)
    assert world.removed == [("w", Role.WORKER)] * 2


def test_ROL_01_a_promotion_that_is_no_longer_wanted_is_not_made():
    manager = OneManager(ManualClock())
    tx = manager.store.transaction()
    tx.create(node("w", Role.WORKER, Role.WORKER))
    roles.set_role(tx, Step("w", Role.MANAGER))
    roles.set_role(tx, Step("gone", Role.MANAGER))
    assert tx.node("w").role is Role.WORKER
