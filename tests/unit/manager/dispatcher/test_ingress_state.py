"""Published ports and who answers them."""

from collections.abc import Iterable
from dataclasses import replace

from core.model import (
    Node,
    NodeState,
    NodeStatus,
    PortConfig,
    PublishMode,
    Service,
    StoreObject,
    Task,
    TaskState,
)
from manager.dispatcher.ingress_state import Change, IngressTable
from manager.store import Kind, Store
from tests.support.leading import WEB, make_service, make_task

READY = NodeStatus(NodeState.READY, "", "10.0.0.1")


class World:
    """A store and a table that follows it, write by write."""

    def __init__(self, *begin: StoreObject) -> None:
        self.tx = Store().transaction()
        for item in begin:
            self.tx.create(item)
        self.index = 10
        self.table = IngressTable(self.tx, self.index)

    def put(self, *items: StoreObject) -> Change:
        mark = self.tx.mark
        for item in items:
            known = self.tx.node(item.id) or self.tx.service(item.id) or self.tx.task(item.id)
            if known is None:
                self.tx.create(item)
            else:
                self.tx.update(replace(item, meta=known.meta))
        return self._observe(mark)

    def remove(self, kind: Kind, item_id: str) -> Change:
        mark = self.tx.mark
        self.tx.delete(kind, item_id)
        return self._observe(mark)

    def backends(self, port: int = 8080) -> list[str]:
        """`task at node address -> container:port` of every backend."""
        state = self.table.state()
        assert state == IngressTable(self.tx, self.table.version).state(), "it is what a new leader would make"
        found: Iterable[str] = (
            f"{backend.task_id} at {backend.node_addr} -> {backend.address}:{backend.target_port}"
            for each in state.ports
            if each.published_port == port
            for backend in each.backends
        )
        return list(found)

    def _observe(self, mark: int) -> Change:
        self.index += 1
        return self.table.observe(self.tx, self.tx.events_since(mark), self.index)


def web() -> World:
    return World(Node(id="n1", status=READY), make_service(ports=WEB))


def running(task_id: str = "a", **changes: object) -> Task:
    return make_task(task_id, "n1", TaskState.RUNNING, **({"ports": WEB} | changes))  # type: ignore[arg-type]


def test_a_task_answers_while_it_runs_shall_run_and_has_an_address() -> None:
    world = web()
    for unfit in (
        make_task("a", "n1", TaskState.STARTING, ports=WEB),
        running(address=""),
        running(ports=()),
    ):
        world.put(unfit)
        assert world.backends() == []
    assert world.put(running()).is_new
    assert world.backends() == ["a at 10.0.0.1 -> 172.17.0.2:80"]
    assert world.put(running(address="")) == Change(is_new=True), "it has become unhealthy"
    assert world.backends() == []
    world.put(running())
    assert world.put(make_task("a", "n1", TaskState.FAILED, ports=WEB)) == Change(is_new=True)
    assert world.backends() == []


def test_versions_are_log_indexes_and_only_grow_with_a_change() -> None:
    world = web()
    assert world.table.version == 10
    world.put(running())
    assert world.table.version == world.index == 11
    assert not world.put(replace(running(), status=replace(running().status, message="still up"))).is_new
    assert world.table.version == 11 < world.index
    assert world.table.state().version == 11


def test_a_backend_that_shall_stop_is_named_once() -> None:
    world = web()
    world.put(running("a"), running("b"))
    change = world.put(running("a", desired=TaskState.SHUTDOWN))
    assert change == Change(is_new=True, stopping=("a",))
    assert world.put(running("a", desired=TaskState.REMOVE)) == Change()
    assert world.backends() == ["b at 10.0.0.1 -> 172.17.0.2:80"]


def test_a_task_that_was_never_a_backend_is_not_named() -> None:
    world = web()
    world.put(make_task("a", "n1", TaskState.PREPARING, ports=WEB))
    assert world.put(make_task("a", "n1", TaskState.PREPARING, TaskState.SHUTDOWN, ports=WEB)) == Change()


def test_backends_leave_with_their_node_and_move_with_its_address() -> None:
    world = web()
    world.put(running())
    world.put(Node(id="n1", status=replace(READY, addr="10.0.0.9")))
    assert world.backends() == ["a at 10.0.0.9 -> 172.17.0.2:80"]
    world.put(Node(id="n1", status=replace(READY, state=NodeState.UNKNOWN)))
    assert world.backends() == ["a at 10.0.0.1 -> 172.17.0.2:80"]
    world.put(Node(id="n1", status=replace(READY, state=NodeState.DOWN)))
    assert world.backends() == []
    world.put(Node(id="n1", status=READY))
    assert len(world.backends()) == 1
    world.remove(Node, "n1")
    assert world.backends() == []
    assert world.table.state().nodes == ()


def test_a_node_without_backends_is_news_only_when_it_comes_or_goes() -> None:
    world = web()
    assert world.put(Node(id="n2", status=READY)).is_new
    assert not world.put(Node(id="n2", status=replace(READY, addr="10.0.0.2"))).is_new
    assert not world.put(Node(id="n2", status=replace(READY, state=NodeState.DOWN))).is_new
    assert world.table.state().nodes == ("n1", "n2")
    assert world.remove(Node, "n2").is_new


def test_each_task_is_reached_at_the_port_that_it_was_made_with() -> None:
    world = web()
    world.put(running("old"))
    moved = (PortConfig(target_port=8000, published_port=8080), PortConfig(target_port=9000, published_port=9090))
    world.put(make_service(ports=moved))
    world.put(running("new", ports=moved))
    assert world.backends() == ["new at 10.0.0.1 -> 172.17.0.2:8000", "old at 10.0.0.1 -> 172.17.0.2:80"]
    assert world.backends(9090) == ["new at 10.0.0.1 -> 172.17.0.2:9000"]


def test_ports_of_host_mode_and_of_removed_services_are_not_published() -> None:
    world = web()
    host = PortConfig(target_port=1, published_port=7070, publish_mode=PublishMode.HOST)
    world.put(make_service("host", (host,)))
    world.put(running())
    assert [port.published_port for port in world.table.state().ports] == [8080]
    assert world.table.publishes(8080)
    assert not world.table.publishes(7070)
    assert world.remove(Service, "web").is_new
    assert world.table.state().ports == ()
    assert not world.table.publishes(8080)


def test_only_the_service_that_changed_is_made_anew() -> None:
    world = web()
    other = (PortConfig(target_port=80, published_port=9090),)
    world.put(make_service("other", other), running("b", service_id="other", ports=other))
    before = {port.service_id: port for port in world.table.state().ports}
    world.put(running())
    after = {port.service_id: port for port in world.table.state().ports}
    assert after["other"] is before["other"]
    assert after["web"] is not before["web"]


def test_a_node_that_registers_is_news_to_others_only_if_it_has_backends() -> None:
    world = web()
    assert world.put(Node(id="n2")).is_new
    assert not world.put(Node(id="n2", status=replace(READY, addr="10.0.0.2"))).is_new
    world.put(running())
    assert world.put(Node(id="n1", status=replace(READY, addr="10.0.0.9"))).is_new
    assert world.remove(Node, "n2").is_new
