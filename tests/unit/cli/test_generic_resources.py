"""What a node declares for tasks to reserve."""

import pytest

from core.errors import InvalidArgument
from core.model import GenericResource
from pyswarm.cli.generic_resources import parse_generic_resources


def test_a_number_is_how_many_and_anything_else_a_name() -> None:
    assert parse_generic_resources(["gpu=UUID1", "ssd=3", " gpu = UUID2 "]) == (
        GenericResource("gpu", id="UUID1"),
        GenericResource("gpu", id="UUID2"),
        GenericResource("ssd", value=3),
    )


def test_several_may_be_given_at_once() -> None:
    assert parse_generic_resources(["gpu=a,gpu=b,ssd=1"]) == parse_generic_resources(["gpu=a", "gpu=b", "ssd=1"])
    assert parse_generic_resources([]) == ()


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["gpu"], "write it like gpu=UUID1 or ssd=3"),
        (["=3"], "write it like"),
        (["gpu="], "write it like"),
        (["gpu=a=b"], "write it like"),
        (["gpu=a,"], "write it like"),
        (["ssd=-1"], "give how many there are"),
        (["ssd=0"], "give how many there are"),
        (["ssd=99999999999999999999"], "give how many there are"),
        (["gpu=a", "gpu=3"], "give one number, or a name for each"),
        (["ssd=1", "ssd=2"], "give one number, or a name for each"),
        (["gpu=a", "gpu=a"], "one name twice"),
    ],
)
def test_what_is_none_is_refused(texts: list[str], reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        parse_generic_resources(texts)
