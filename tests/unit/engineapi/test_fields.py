import pytest

from core.errors import InvalidArgument
from core.model import Role
from pyswarm.engineapi.wire.fields import Fields, is_zero
from pyswarm.engineapi.wire.names import ROLES


def test_keys_match_in_any_case_and_the_last_spelling_counts():
    fields = Fields({"name": "a", "NAME": "b"})
    assert fields.text("Name") == "b"


def test_null_is_absent():
    fields = Fields({"S": None, "N": None, "L": None, "O": None, "B": None, "C": None})
    assert fields.text("S") == ""
    assert fields.maybe_integer("N") is None
    assert fields.texts("L") == ()
    assert fields.labels("O") == {}
    assert fields.maybe_flag("B") is None
    assert fields.child("C") is None
    fields.finish()


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", [], {}, {"a": None, "b": {"c": []}}])
def test_what_nobody_reads_may_be_zero(value):
    assert is_zero(value)
    Fields({"Unknown": value}).finish()


@pytest.mark.parametrize("value", [True, 1, "x", [0], [{}], {"a": {"b": 1}}])
def test_what_nobody_reads_is_refused_by_its_whole_name(value):
    outer = Fields({"Outer": {"Unknown": value}})
    inner = outer.child("outer")
    assert inner is not None
    with pytest.raises(InvalidArgument, match=r"^outer\.Unknown is not supported by pyswarm yet$"):
        outer.finish()


def test_a_number_below_zero_is_said_to_be_negative():
    with pytest.raises(InvalidArgument, match=r"^RestartPolicy\.Delay cannot be negative$"):
        Fields({"Delay": -1}, "RestartPolicy").integer("Delay")
    with pytest.raises(InvalidArgument, match=r"^Swappiness must be between -1 and 100$"):
        Fields({"Swappiness": -2}).integer("Swappiness", -1, 100)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda fields: fields.text("K"), 1),
        (lambda fields: fields.text("K"), "\ud800"),
        (lambda fields: fields.flag("K"), 1),
        (lambda fields: fields.integer("K"), True),
        (lambda fields: fields.integer("K"), 1.0),
        (lambda fields: fields.integer("K"), "1"),
        (lambda fields: fields.integer("K"), -1),
        (lambda fields: fields.integer("K", high=65535), 65536),
        (lambda fields: fields.number("K"), "1"),
        (lambda fields: fields.number("K"), 10**400),
        (lambda fields: fields.texts("K"), "text"),
        (lambda fields: fields.texts("K"), [1]),
        (lambda fields: fields.labels("K"), ["a=b"]),
        (lambda fields: fields.labels("K"), {"a": 1}),
        (lambda fields: fields.labels("K"), {"\udfff": ""}),
        (lambda fields: fields.child("K"), []),
        (lambda fields: fields.children("K"), {}),
        (lambda fields: fields.children("K"), [1]),
        (lambda fields: fields.choice("K", ROLES, Role.WORKER), "king"),
    ],
)
def test_the_wrong_type_is_refused_with_the_key(read, value):
    with pytest.raises(InvalidArgument, match="K"):
        read(Fields({"K": value}))


@pytest.mark.parametrize("value", [None, 1, "x", [], True])
def test_only_an_object_is_an_object(value):
    with pytest.raises(InvalidArgument, match="must be a JSON object"):
        Fields(value)
