"""The grammar of constraints and what they match."""

import pytest

from core.errors import InvalidArgument
from core.model import Node, NodeDescription, NodeSpec, NodeStatus, Placement, Platform, Role, TaskSpec
from manager.scheduler.constraint import Constraint, matches, parse_constraint, parse_constraints
from manager.scheduler.unknown_keys import warnings_on

NODE = Node(
    id="node1",
    role=Role.MANAGER,
    spec=NodeSpec(labels={"disk": "SSD", "Zone": "a.b"}),
    status=NodeStatus(addr="10.0.0.7"),
    description=NodeDescription("web-1", Platform("x86_64", "linux"), engine_labels={"storage": "overlay2"}),
)


def holds(*texts: str, node: Node = NODE) -> bool:
    return matches(parse_constraints(texts), node)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "node.role",
        "node.role=manager",
        "node.role>manager",
        "node.role=~manager",
        "==manager",
        "node.role==",
        "node.role==  ",
        "1node==x",
        "no de==x",
        "node*==x",
        "node$==x",
        "node.role==a;b",
        "node.role==a=b",
    ],
)
def test_CON_01_what_is_no_constraint_is_refused(text: str):
    with pytest.raises(InvalidArgument, match="invalid constraint"):
        parse_constraint(text)


def test_CON_01_blanks_around_are_trimmed():
    assert parse_constraint("  node.role  ==  manager ") == Constraint("node.role", True, "manager")
    assert parse_constraint("node.id!=x") == Constraint("node.id", False, "x")


def test_CON_01_a_value_may_hold_blanks_and_signs():
    value = r"a b:-_.*()?+[]\^$|/"
    assert parse_constraint(f"node.labels.x=={value}").value == value


def test_CON_02_the_whole_value_matches_whatever_its_case():
    assert holds("node.labels.disk==ssd")
    assert not holds("node.labels.disk==ss")
    assert not holds("node.labels.disk==s*")
    assert not holds("node.labels.disk!=sSd")
    star = Node(spec=NodeSpec(labels={"disk": "F*o"}))
    assert holds("node.labels.disk==f*o", node=star)
    assert not holds("node.labels.disk==foo", node=star)


def test_CON_03_a_node_without_description_has_an_empty_hostname():
    assert not holds("node.hostname==web-1", node=Node())
    assert holds("node.hostname!=web-1", node=Node())


@pytest.mark.parametrize(
    ("constraint", "address", "expected"),
    [
        ("node.ip==10.0.0.7", "10.0.0.7", True),
        ("node.ip!=10.0.0.7", "10.0.0.7", False),
        ("node.ip==10.0.0.0/24", "10.0.0.7", True),
        ("node.ip==10.0.0.7/24", "10.0.0.9", True),
        ("node.ip!=10.0.1.0/24", "10.0.0.7", True),
        ("node.ip==fd00::/8", "fd00::1", True),
        ("node.ip==fd00::1", "10.0.0.7", False),
        ("node.ip==nonsense", "10.0.0.7", False),
        ("node.ip!=nonsense", "10.0.0.7", False),
        ("node.ip!=10.0.0.7", "", False),
    ],
)
def test_CON_04_addresses_and_networks(constraint: str, address: str, expected: bool):
    assert holds(constraint, node=Node(status=NodeStatus(addr=address))) is expected


@pytest.mark.parametrize(
    "constraint",
    [
        "node.id==node1",
        "NODE.ID==NODE1",
        "node.role==manager",
        "node.role!=worker",
        "node.hostname==WEB-1",
        "node.platform.os==linux",
        "node.platform.arch==x86_64",
        "node.labels.Zone==A.B",
        "Node.Labels.disk==ssd",
        "engine.labels.storage==overlay2",
        "Engine.Labels.storage!=aufs",
        "node.labels.zone!=a.b",
        "node.labels.missing!=x",
        "engine.labels.missing!=x",
    ],
)
def test_CON_05_what_a_node_matches(constraint: str):
    assert holds(constraint)


@pytest.mark.parametrize(
    "constraint", ["node.labels.zone==a.b", "node.labels.missing==x", "engine.labels.Storage==overlay2"]
)
def test_CON_05_label_keys_keep_their_case_and_a_missing_one_is_not_equal(constraint: str):
    assert not holds(constraint)


def test_CON_06_all_must_hold_and_an_unknown_key_never_does():
    assert holds("node.id==node1", "node.role==manager")
    assert not holds("node.id==node1", "node.role==worker")
    assert not holds("node.unknown==x")
    assert not holds("node.unknown!=x")


@pytest.mark.parametrize(
    ("constraint", "meant"),
    [
        ("node.lables.Zone==a", "did you mean node.labels.Zone?"),
        ("engine.label.disk.kind!=ssd", "did you mean engine.labels.disk.kind?"),
        ("node.host==vm", "did you mean node.hostname?"),
        ("Node.Rule==manager", "did you mean node.role?"),
        ("zone==a", "there are node.id, node.hostname, "),
    ],
)
def test_CON_06_an_unknown_key_is_warned_of_with_what_was_probably_meant(constraint: str, meant: str):
    placement = Placement(constraints=("node.role==manager", constraint, "engine.labels.any!=a"))
    (warning,) = warnings_on(TaskSpec(placement=placement))
    assert warning.startswith(f"constraint {constraint} has a key that nobody knows ({meant}")
    assert warning.endswith("; no node matches it")


@pytest.mark.parametrize(("number", "rest"), [(5, []), (6, ["1 more constraint"]), (10_000, ["9995 more constraints"])])
def test_CON_06_of_many_unknown_keys_the_first_are_warned_of_and_the_rest_counted(number: int, rest: list[str]):
    placement = Placement(constraints=tuple(f"node.host{place}==a" for place in range(number)))
    warnings = warnings_on(TaskSpec(placement=placement))
    assert [warning.split()[1] for warning in warnings[:5]] == [f"node.host{place}==a" for place in range(5)]
    assert warnings[5:] == [f"{words} with a key that nobody knows" for words in rest]


def test_CON_06_tasks_that_may_go_anywhere_are_not_warned_of():
    assert warnings_on(TaskSpec()) == []
