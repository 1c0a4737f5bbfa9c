"""DSP-11: tasks of nodes that stay down."""

from dataclasses import replace

from core.model import Meta, Node, NodeState, NodeStatus, TaskState
from manager.dispatcher.orphans import LIMIT, MAX_WRITES, Orphans
from tests.support.leading import make_task
from tests.support.stage import Stage

DOWN = NodeStatus(NodeState.DOWN)
READY = NodeStatus(NodeState.READY)


def stage(*tasks: TaskState) -> Stage:
    made = Stage(Orphans())
    made.put(Node(id="n1", status=READY))
    for number, state in enumerate(tasks):
        made.put(make_task(f"t{number}", "n1", state))
    made.run()
    return made


def states(stage: Stage) -> list[TaskState]:
    return [task.status.state for task in sorted(stage.tx.tasks_of_node("n1"), key=lambda task: task.id)]


def test_DSP_11_a_node_down_for_a_day_loses_its_tasks_that_have_not_ended() -> None:
    world = stage(TaskState.RUNNING, TaskState.ASSIGNED, TaskState.FAILED, TaskState.PENDING)
    world.put(Node(id="n1", status=DOWN))
    world.run()
    assert world.wake_up == world.now + LIMIT
    world.now += LIMIT - 1
    world.run()
    assert TaskState.ORPHANED not in states(world)
    world.now += 1
    world.run()
    assert states(world) == [TaskState.ORPHANED, TaskState.ORPHANED, TaskState.FAILED, TaskState.PENDING]
    assert world.wake_up is None


def test_DSP_11_a_node_that_came_back_begins_anew() -> None:
    world = stage(TaskState.RUNNING)
    world.put(Node(id="n1", status=DOWN))
    world.run()
    world.now += LIMIT - 1
    world.put(Node(id="n1", status=READY))
    world.put(Node(id="n1", status=DOWN))
    world.run()
    world.now += 1
    world.run()
    assert states(world) == [TaskState.RUNNING]
    assert world.wake_up == world.now - 1 + LIMIT


def test_DSP_11_a_node_that_came_back_in_time_keeps_its_tasks() -> None:
    world = stage(TaskState.RUNNING)
    world.put(Node(id="n1", status=DOWN))
    world.run()
    world.put(Node(id="n1", status=READY))
    world.run()
    assert world.wake_up is None
    world.now += LIMIT
    world.put(Node(id="n1", status=replace(READY, message="still")))
    world.run()
    assert states(world) == [TaskState.RUNNING]


def test_DSP_11_other_changes_of_a_node_that_is_down_do_not_put_it_off() -> None:
    world = stage(TaskState.RUNNING)
    world.put(Node(id="n1", status=DOWN))
    world.run()
    due = world.wake_up
    world.now += 1
    world.put(Node(id="n1", status=replace(DOWN, message="still")))
    world.run()
    assert world.wake_up == due


def test_DSP_11_a_new_leader_counts_from_the_nodes_last_change() -> None:
    world = Stage(Orphans())
    changed = world.now - LIMIT + 5
    world.put(Node(id="n1", status=DOWN, meta=Meta(updated_at=changed)))
    world.put(make_task("a", "n1", TaskState.RUNNING))
    world.run()
    assert world.wake_up == changed + LIMIT
    assert states(world) == [TaskState.RUNNING]
    world.now += 5
    world.run()
    assert states(world) == [TaskState.ORPHANED]


def test_DSP_11_a_node_that_was_removed_is_forgotten() -> None:
    world = stage()
    world.put(Node(id="n1", status=DOWN))
    world.run()
    world.remove(Node, "n1")
    world.run()
    assert world.wake_up is None


def test_DSP_11_many_tasks_are_given_up_bit_by_bit() -> None:
    world = stage(*[TaskState.RUNNING] * (2 * MAX_WRITES + 1))
    world.put(Node(id="n1", status=DOWN))
    world.run()
    world.now += LIMIT
    steps, before = world.steps, world.writes()
    world.run()
    assert set(states(world)) == {TaskState.ORPHANED}
    assert world.writes() - before == 2 * MAX_WRITES + 1
    assert world.steps - steps >= 3
