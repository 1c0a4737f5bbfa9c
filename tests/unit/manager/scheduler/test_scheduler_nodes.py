"""The mirror of the nodes, and the pools that they are found in."""

from dataclasses import replace

from core.model import NodeState, TaskState
from manager.scheduler.nodes import MAX_POOLS, Nodes
from manager.scheduler.requirements import Requirements, RequirementsCache
from tests.support.scheduling import waiting_task
from tests.support.stage import make_node

ANY = Requirements()


def mirror(*node_ids: str) -> Nodes:
    nodes = Nodes(RequirementsCache(), lambda node_id: False)
    for node_id in node_ids:
        nodes.put(make_node(node_id))
    return nodes


def running(task_id: str, service_id: str, node_id: str, **wishes: object):
    task = waiting_task(task_id, service_id, node_id=node_id, **wishes)
    return replace(task, status=replace(task.status, state=TaskState.RUNNING))


def test_SCH_23_what_a_task_takes_is_given_back_exactly_once():
    nodes = mirror("n")
    info = nodes.get("n")
    before = (info.nano_cpus, info.memory_bytes, info.load)
    task = running("t", "a", "n", cpus=1, memory=1 << 30, host_ports=[80])
    for _ in range(2):
        nodes.observe(task)
    assert (info.nano_cpus, info.memory_bytes, info.load) == (before[0] - 10**9, before[1] - (1 << 30), 1)
    assert list(info.host_ports.values()) == ["t"]
    for _ in range(2):
        nodes.observe(replace(task, status=replace(task.status, state=TaskState.FAILED)))
        nodes.forget(task)
    assert (info.nano_cpus, info.memory_bytes, info.load) == before
    assert info.host_ports == {}
    assert nodes.copies("a") == {}


def test_SCH_23_a_host_port_that_two_tasks_found_themselves_with_is_free_when_its_holder_is_gone():
    nodes = mirror("n")
    info = nodes.get("n")
    first, second = (running(task_id, task_id, "n", host_ports=[80]) for task_id in ("first", "second"))
    nodes.observe(first)
    nodes.observe(second)
    nodes.forget(second)
    assert list(info.host_ports.values()) == ["first"]


def test_a_change_of_the_node_keeps_what_its_tasks_take():
    nodes = mirror("n")
    nodes.observe(running("t", "a", "n", cpus=1, memory=1 << 30))
    info = nodes.put(make_node("n", cpus=2, memory=1 << 29))
    assert (info.nano_cpus, info.memory_bytes) == (10**9, -(1 << 29))


def test_a_node_that_is_gone_has_no_copies_and_is_in_no_pool():
    nodes = mirror("n", "m")
    nodes.observe(running("t", "a", "n"))
    pool = nodes.pool(ANY)
    info = nodes.get("n")
    nodes.drop("n")
    nodes.drop("n")
    nodes.forget(running("t", "a", "n"))
    assert nodes.copies("a") == {}
    assert not pool.admits(info)
    assert [node.id for node in pool.lightest(5, {}, 0, ())] == ["m"]


def test_a_pool_follows_loads_and_states():
    nodes = mirror("n0", "n1", "n2")
    pool = nodes.pool(ANY)
    nodes.observe(running("t0", "a", "n0"))
    nodes.observe(running("t1", "a", "n1"))
    nodes.observe(running("t2", "b", "n1"))
    assert [node.id for node in pool.lightest(5, {}, 0, ())] == ["n2", "n0", "n1"]
    nodes.observe(replace(running("t1", "a", "n1"), desired_state=TaskState.SHUTDOWN))
    nodes.forget(running("t2", "b", "n1"))
    nodes.put(make_node("n2", state=NodeState.DOWN))
    assert [node.id for node in pool.lightest(1, {}, 0, ())] == ["n1"]
    assert pool.explain() == "no suitable node (1 node not available for new tasks)"


def test_a_pool_finds_the_nodes_of_a_level():
    nodes = mirror("n0", "n1", "n2", "n3")
    pool = nodes.pool(ANY)
    nodes.observe(running("a0", "a", "n0"))
    nodes.observe(running("a1", "a", "n1"))
    nodes.observe(running("b1", "b", "n1"))
    nodes.observe(running("b2", "b", "n2"))
    found = [[node.id for node in pool.lightest(5, nodes.copies("a"), level, ())] for level in (0, 1, 2)]
    assert found == [["n3", "n2"], ["n0", "n1"], []]
    assert [node.id for node in pool.lightest(5, nodes.copies("a"), 1, {nodes.get("n0")})] == ["n1"]


def test_only_what_a_change_concerns_is_told_of_it():
    nodes = mirror("n")
    big = Requirements(memory_bytes=1 << 40)
    nodes.pool(ANY)
    nodes.pool(big)
    nodes.drain_changes()
    task = running("t", "a", "n", memory=1 << 30)
    nodes.observe(task)
    assert not nodes.drain_changes()
    nodes.forget(task)
    changes = nodes.drain_changes()
    assert changes.concern("n")
    assert not changes.concern("other")
    assert not changes.concern(big), "there is no more room for it than before that counts"
    assert changes.concern(Requirements(nano_cpus=1)), "nobody keeps an index for it"


def test_few_pools_are_kept_the_latest_ones():
    nodes = mirror("n")
    first = nodes.pool(ANY)
    for number in range(MAX_POOLS - 1):
        nodes.pool(Requirements(memory_bytes=number + 1))
    assert nodes.pool(ANY) is first
    nodes.pool(Requirements(memory_bytes=1 << 20))
    assert nodes.pool(ANY) is first
    assert nodes.pool(Requirements(memory_bytes=1)) is not None
    kept = nodes.pool(Requirements(memory_bytes=MAX_POOLS - 1))
    assert nodes.pool(Requirements(memory_bytes=MAX_POOLS - 1)) is kept
