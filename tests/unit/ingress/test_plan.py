"""The pure part: the cluster's ports as one node sees them, and plans that change into one another."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidArgument
from core.model import Backend, IngressState, Protocol, PublishedPort
from ingress.plan import plan
from ingress.routes import EMPTY, Local, Plan, Remote, difference, from_json, patched, to_json
from ingress.routes import Backend as Route

OWN = Backend("task1", "node1", "192.0.2.1", "172.17.0.2", 80)
OTHER = Backend("task2", "node2", "192.0.2.2", "172.17.0.2", 80)


def state(*backends: Backend, port: int = 8080, protocol: Protocol = Protocol.TCP) -> IngressState:
    return IngressState(7, (PublishedPort("web", protocol, port, backends),), ("node1", "node2"))


def test_own_tasks_are_reached_at_their_container_and_others_through_their_node() -> None:
    assert plan(state(OWN, OTHER), "node1") == Plan(
        version=7,
        listeners={8080: (Local("task1", 80, "172.17.0.2"), Remote("task2", 80, "node2", "192.0.2.2"))},
        exports={("task1", 80): "172.17.0.2"},
        nodes=frozenset({"node1", "node2"}),
    )


def test_a_node_without_tasks_serves_the_port_all_the_same() -> None:
    result = plan(state(OWN, OTHER), "node3")
    assert [type(backend) for backend in result.listeners[8080]] == [Remote, Remote]
    assert result.exports == {}


def test_a_port_without_running_tasks_is_held() -> None:
    assert plan(state(), "node1").listeners == {8080: ()}


@pytest.mark.parametrize(
    "unreachable", [Backend("task1", "node1", "192.0.2.1", "", 80), Backend("task2", "node2", "", "172.17.0.2", 80)]
)
def test_a_backend_without_an_address_is_left_out(unreachable: Backend) -> None:
    result = plan(state(unreachable), "node1")
    assert result.listeners == {8080: ()}
    assert result.exports == {}


def test_other_protocols_are_not_relayed() -> None:
    assert plan(state(OWN, protocol=Protocol.UDP), "node1").listeners == {}


def test_two_claims_on_a_port_share_it() -> None:
    both = IngressState(1, (*state(OWN).ports, *state(OTHER).ports))
    assert len(plan(both, "node1").listeners[8080]) == 2


def test_a_change_names_only_what_changed() -> None:
    old = plan(state(OWN, OTHER), "node1")
    new = old._replace(version=8, listeners={**old.listeners, 9090: ()}, nodes=frozenset({"node1"}))
    change = difference(old, new)
    assert change.listeners == {9090: ()}
    assert change.expelled == ("node2",)
    assert not change.closed + change.withdrawn + change.admitted
    assert not change.exports


names = st.text("abc123", min_size=1, max_size=4)
ports = st.integers(1, 65535)
routes: st.SearchStrategy[Route] = st.builds(Local, names, ports, names) | st.builds(Remote, names, ports, names, names)
plans = st.builds(
    Plan,
    version=st.integers(0, 2**63),
    listeners=st.dictionaries(ports, st.lists(routes, max_size=3).map(tuple), max_size=4),
    exports=st.dictionaries(st.tuples(names, ports), names, max_size=4),
    nodes=st.frozensets(names, max_size=4),
)


@given(plans, plans)
def test_a_change_turns_the_one_plan_into_the_other(old: Plan, new: Plan) -> None:
    assert patched(old, difference(old, new)) == new
    assert patched(EMPTY, difference(EMPTY, new)) == new


@given(plans, plans)
def test_a_change_survives_its_journey(old: Plan, new: Plan) -> None:
    change = difference(old, new)
    assert from_json(json.loads(json.dumps(to_json(change)))) == change


json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
FIELDS = ["version", "listeners", "closed", "exports", "withdrawn", "admitted", "expelled"]


@given(st.sampled_from(FIELDS), json_values)
def test_a_malformed_change_is_refused_or_understood_but_never_half_read(field: str, value: object) -> None:
    data = to_json(difference(EMPTY, EMPTY))
    data[field] = value
    try:
        change = from_json(data)
    except InvalidArgument:
        return
    assert from_json(to_json(change)) == change


@pytest.mark.parametrize("data", [None, [], {}, {"version": True}, "plan"])
def test_what_is_no_change_is_refused(data: object) -> None:
    with pytest.raises(InvalidArgument, match="malformed ingress plan"):
        from_json(data)


backends = st.builds(Backend, names, st.sampled_from(["node1", "node2"]), names, names, ports)
states = st.builds(
    IngressState,
    version=st.integers(0, 100),
    ports=st.lists(
        st.builds(PublishedPort, names, st.just(Protocol.TCP), ports, st.lists(backends, max_size=3).map(tuple)),
        max_size=4,
    ).map(tuple),
)


@given(states)
def test_every_way_leads_to_a_task_that_its_node_exports(state: IngressState) -> None:
    """What one node's relay asks another for is what the other gives out."""
    entry, exit_ = plan(state, "node1"), plan(state, "node2")
    for listener in entry.listeners.values():
        for route in listener:
            if isinstance(route, Remote) and route.node_id == "node2":
                assert (route.task_id, route.port) in exit_.exports
