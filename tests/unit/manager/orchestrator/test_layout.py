"""Where a service's tasks would better lie."""

from collections import Counter
from collections.abc import Collection, Sequence

from hypothesis import given
from hypothesis import strategies as st

from core.model import Availability, NodeSpec, Placement, Service, Task, TaskState, TaskStatus
from manager.orchestrator.layout import Layout, Move
from manager.store import Store, Transaction
from tests.support.small_cluster import spec
from tests.support.stage import make_node

RACK = ("node.labels.zone",)


def lie(counts: dict[str, int], placement: Placement | None = None) -> tuple[Transaction, Service]:
    """A service of so many tasks on each node. A node's name begins with its zone."""
    tx = Store().transaction()
    for node_id in counts:
        tx.create(make_node(node_id, spec=NodeSpec(labels={"zone": node_id[0]})))
    service = Service(id="s", spec=spec(sum(counts.values()), placement=placement))
    tx.create(service)
    slot = 0
    for node_id, count in counts.items():
        for _ in range(count):
            slot += 1
            status = TaskStatus(state=TaskState.RUNNING)
            tx.create(Task(id=f"t{slot}", service_id="s", slot=slot, node_id=node_id, status=status))
    return tx, service


def places(tx: Transaction) -> dict[int, str]:
    return {task.slot: task.node_id for task in tx.tasks()}


def layout(tx: Transaction, service: Service, movable: Collection[int] | None = None) -> Layout:
    made = Layout(tx, service)
    for slot, node_id in places(tx).items():
        made.put(slot, node_id, movable=movable is None or slot in movable)
    return made


def moves(tx: Transaction, service: Service, shunned: Sequence[str] = ()) -> tuple[int, Counter[str]]:
    """How many there are until there are no more, and how the service lies then."""
    made, now = layout(tx, service), places(tx)
    count = 0
    while (move := made.next_move(shunned)) is not None:
        made.put(move.slot, move.node_id, former=now[move.slot])
        assert made.is_better(move.slot)
        made.put(move.slot, move.node_id, movable=True)
        now[move.slot] = move.node_id
        count += 1
        assert count <= len(now), "no task is moved twice"
    return count, Counter(now.values())


def test_the_fullest_node_gives_to_the_emptiest():
    tx, service = lie({"a": 4, "b": 1, "c": 2})
    assert layout(tx, service).next_move() == Move(4, "b")


def test_only_as_many_are_moved_as_it_takes():
    assert moves(*lie({"a": 3, "b": 3, "c": 0})) == (2, {"a": 2, "b": 2, "c": 2})
    assert moves(*lie({"a": 3, "b": 2})) == (0, {"a": 3, "b": 2})
    assert moves(*lie({"a": 5, "b": 4, "c": 0, "d": 0})) == (4, {"a": 3, "b": 2, "c": 2, "d": 2})


def test_preferences_come_before_nodes():
    counts = {"a1": 2, "a2": 2, "a3": 2, "b1": 0}
    assert moves(*lie(counts)) == (1, {"a1": 2, "a2": 2, "a3": 1, "b1": 1})
    assert moves(*lie(counts, Placement(preferences=RACK))) == (3, {"a1": 1, "a2": 1, "a3": 1, "b1": 3})
    level = {"a1": 2, "a2": 0, "b1": 2, "b2": 1}
    assert moves(*lie(level, Placement(preferences=RACK))) == (1, {"a1": 1, "a2": 1, "b1": 2, "b2": 1})


def test_a_node_that_still_has_a_task_of_a_slot_on_its_way_has_no_room_for_another():
    tx, service = lie({"a": 3, "b": 0, "c": 1}, Placement(max_replicas=1))
    made = layout(tx, service)
    made.put(4, "d", former="c")
    made.put(1, "b", former="a")
    assert made.next_move() is None
    made.put(4, "d")
    assert made.next_move() == Move(3, "c")


def test_what_is_on_its_way_is_better_only_while_there_are_more_where_it_was():
    tx, service = lie({"a": 3, "b": 1})
    made = layout(tx, service)
    made.put(3, "b", former="a")
    assert made.is_better(3)
    made.remove(1)
    assert not made.is_better(3)
    assert len(made) == 3


def test_constraints_and_the_most_replicas_of_a_node_hold():
    assert moves(*lie({"a": 4, "b": 0}, Placement(constraints=("node.labels.zone==a",))))[0] == 0
    assert moves(*lie({"a": 6, "b": 0, "c": 0}, Placement(max_replicas=1))) == (2, {"a": 4, "b": 1, "c": 1})


def test_a_paused_node_keeps_what_it_has_and_gets_nothing():
    tx, service = lie({"a": 4, "b": 0, "c": 1})
    for node_id in ("a", "b"):
        node = tx.node(node_id)
        assert node is not None
        tx.change(node, spec=NodeSpec(availability=Availability.PAUSE))
    assert moves(tx, service)[0] == 0


def test_shunned_nodes_get_nothing_and_slots_that_may_not_be_moved_stay():
    tx, service = lie({"a": 4, "b": 0, "c": 0})
    assert moves(tx, service, shunned=["b"])[1] == {"a": 2, "c": 2}
    assert layout(tx, service, {2}).next_move() == Move(2, "b")
    assert layout(tx, service, ()).next_move() is None


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(0, 5))
def test_in_the_end_nodes_differ_by_one_task_at_most_and_no_task_was_moved_without_need(counts: list[int], zones: int):
    nodes = {f"{number % (zones or 1)}{number}": count for number, count in enumerate(counts)}
    count, after = moves(*lie(nodes))
    levels = [after[node_id] for node_id in nodes]
    assert max(levels) - min(levels) <= 1
    assert count == sum(max(0, before - after[node_id]) for node_id, before in nodes.items())
    zoned = moves(*lie(nodes, Placement(preferences=RACK)))[1]
    for zone in {node_id[0] for node_id in nodes}:
        inside = [zoned[node_id] for node_id in nodes if node_id[0] == zone]
        assert max(inside) - min(inside) <= 1
    per_zone = Counter(node_id[0] for node_id in zoned.elements())
    levels = [per_zone[zone] for zone in {node_id[0] for node_id in nodes}]
    assert max(levels) - min(levels) <= 1
