"""Nodes through the control API: what is shown, what may be changed, what may be removed."""

from dataclasses import replace

import pytest

from core.clock import SECOND
from core.errors import FailedPrecondition, NotFound, OutOfSequence
from core.model import Availability, ManagerStatus, Node, NodeSpec, NodeState, Reachability, Role, TaskState
from tests.support.control_world import ControlWorld

DAY = 86_400 * SECOND


@pytest.fixture
async def world() -> ControlWorld:
    made = ControlWorld()
    await made.manager.found()
    return made


async def set_role(world: ControlWorld, node_id: str, role: Role) -> None:
    node = await world.control.get_node(node_id)
    await world.control.update_node(node_id, node.meta.version, replace(node.spec, role=role))


async def test_managers_are_shown_as_the_log_has_them(world: ControlWorld):
    for name in ("m1", "m2", "m3"):
        await world.add_node(name, Role.MANAGER)
    await world.add_node("w1")
    await world.add_node("joining", Role.MANAGER)
    world.members.pop()
    world.unreachable("m3")
    shown = {node.id: node.manager for node in await world.control.list_nodes({})}
    assert shown == {
        "m1": ManagerStatus("m1:2377", True, Reachability.REACHABLE),
        "m2": ManagerStatus("m2:2377", False, Reachability.REACHABLE),
        "m3": ManagerStatus("m3:2377", False, Reachability.UNREACHABLE),
        "w1": None,
        "joining": None,
    }


async def test_availability_and_labels(world: ControlWorld):
    node = await world.add_node("w1")
    spec = replace(node.spec, availability=Availability.DRAIN, labels={"disk": "ssd"})
    updated = await world.control.update_node("w1", node.meta.version, spec)
    assert updated.spec == spec
    with pytest.raises(OutOfSequence):
        await world.control.update_node("w1", node.meta.version, node.spec)
    with pytest.raises(NotFound, match="node gone not found"):
        await world.control.update_node("gone", 1, spec)
    again = await world.control.update_node("w1", updated.meta.version, spec)
    assert again.meta == updated.meta


async def test_ROL_01_promotion_changes_what_is_wanted(world: ControlWorld):
    await world.add_node("w1")
    await set_role(world, "w1", Role.MANAGER)
    node = world.manager.node("w1")
    assert (node.spec.role, node.role) == (Role.MANAGER, Role.WORKER)


async def test_ROL_01_a_manager_whose_demotion_came_half_way_is_a_worker_before_it_is_promoted(world: ControlWorld):
    """It has left the log, in which it has no place until it joins anew."""
    for name in ("m1", "m2"):
        await world.add_node(name, Role.MANAGER)
    await set_role(world, "m2", Role.WORKER)
    await set_role(world, "m2", Role.MANAGER)
    assert world.manager.node("m2").role is Role.MANAGER
    await set_role(world, "m2", Role.WORKER)
    world.members.pop()
    await set_role(world, "m2", Role.MANAGER)
    assert (world.manager.node("m2").spec.role, world.manager.node("m2").role) == (Role.MANAGER, Role.WORKER)


async def test_ROL_01_the_last_manager_is_not_demoted(world: ControlWorld):
    await world.add_node("m1", Role.MANAGER)
    with pytest.raises(FailedPrecondition, match="attempting to demote the last manager of the swarm"):
        await set_role(world, "m1", Role.WORKER)


async def test_ROL_01_down_to_one_manager_but_no_further(world: ControlWorld):
    for name in ("m1", "m2", "m3"):
        await world.add_node(name, Role.MANAGER)
    await set_role(world, "m1", Role.WORKER)
    await set_role(world, "m2", Role.WORKER)
    # Both are members still; what is under way counts as done.
    with pytest.raises(FailedPrecondition, match="last manager"):
        await set_role(world, "m3", Role.WORKER)


async def test_ROL_01_a_manager_that_is_down_may_be_demoted(world: ControlWorld):
    for name in ("m1", "m2", "m3"):
        await world.add_node(name, Role.MANAGER)
    world.unreachable("m3")
    await set_role(world, "m3", Role.WORKER)


async def test_ROL_01_a_demotion_that_would_break_the_quorum_is_refused(world: ControlWorld):
    for name in ("m1", "m2", "m3"):
        await world.add_node(name, Role.MANAGER)
    world.unreachable("m3")
    with pytest.raises(FailedPrecondition, match="loss of quorum, as only 1 of the 2 managers that would remain"):
        await set_role(world, "m2", Role.WORKER)
    assert world.manager.node("m2").spec.role is Role.MANAGER


async def test_ROL_01_the_manager_that_would_remain_must_be_there(world: ControlWorld):
    for name in ("m1", "m2"):
        await world.add_node(name, Role.MANAGER)
    world.unreachable("m2")
    with pytest.raises(FailedPrecondition, match="only 0 of the 1 manager that would remain can be reached, not 1"):
        await set_role(world, "m1", Role.WORKER)


async def test_ROL_01_a_manager_that_never_joined_the_log_may_be_demoted(world: ControlWorld):
    await world.add_node("m1", Role.MANAGER)
    await world.add_node("m2", Role.MANAGER)
    world.members.pop()
    await set_role(world, "m2", Role.WORKER)


async def test_ROL_01_a_learner_has_no_vote_to_miss(world: ControlWorld):
    await world.add_node("m1", Role.MANAGER)
    await world.add_node("m2", Role.MANAGER)
    world.members[1] = replace(world.members[1], learner=True, reachable=False)
    with pytest.raises(FailedPrecondition, match="last manager"):
        await set_role(world, "m1", Role.WORKER)
    await set_role(world, "m2", Role.WORKER)


async def test_ROL_02_a_ready_node_is_removed_only_by_force(world: ControlWorld):
    await world.add_node("w1")
    with pytest.raises(FailedPrecondition, match="node w1 is not down and can't be removed"):
        await world.control.remove_node("w1", force=False)
    await world.control.remove_node("w1", force=True)
    assert world.store.node("w1") is None


@pytest.mark.parametrize("state", [NodeState.DOWN, NodeState.UNKNOWN, NodeState.DISCONNECTED])
async def test_ROL_02_a_node_that_is_not_ready_needs_no_force(world: ControlWorld, state: NodeState):
    await world.add_node("w1", state=state)
    await world.control.remove_node("host-w1", force=False)
    assert world.store.node("w1") is None


async def test_ROL_02_a_manager_is_not_removed_until_it_is_demoted(world: ControlWorld):
    for name in ("m1", "m2"):
        await world.add_node(name, Role.MANAGER, NodeState.DOWN)
    words = "node m2 is a cluster manager and is a member of the raft cluster. It must be demoted to worker before"
    with pytest.raises(FailedPrecondition, match=words):
        await world.control.remove_node("m2", force=True)
    await set_role(world, "m2", Role.WORKER)
    with pytest.raises(FailedPrecondition, match=words):
        await world.control.remove_node("m2", force=True)
    world.members.pop()
    await world.write(lambda tx: tx.update(replace(tx.node("m2"), role=Role.WORKER)))
    await world.control.remove_node("m2", force=False)
    assert world.store.node("m2") is None


async def test_ROL_02_a_manager_whose_join_failed_is_removed_like_any_node(world: ControlWorld):
    await world.add_node("m1", Role.MANAGER)
    await world.write(lambda tx: tx.create(Node(id="m2", role=Role.MANAGER, spec=NodeSpec(role=Role.MANAGER))))
    await world.control.remove_node("m2", force=True)
    assert world.store.node("m2") is None


async def test_ROL_02_a_removed_nodes_certificates_are_refused_and_its_tasks_given_up(world: ControlWorld):
    service = await world.create()
    node = await world.add_node("w1", state=NodeState.DOWN)
    expires = world.clock.now() + 30 * DAY
    await world.write(lambda tx: tx.update(replace(node, certificate_expires_at=expires)))
    await world.add_task("running", service, "w1")
    await world.add_task("done", service, "w1", TaskState.COMPLETE)
    await world.add_task("elsewhere", service, "w2")
    await world.control.remove_node("w1", force=False)
    assert world.manager.cluster.removed_nodes == {"w1": expires + 7 * DAY}
    states = {task.id: task.status.state for task in world.store.tasks()}
    assert states == {
        "running": TaskState.ORPHANED,
        "done": TaskState.COMPLETE,
        "elsewhere": TaskState.RUNNING,
    }
