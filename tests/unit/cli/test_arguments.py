import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidArgument
from pyswarm.cli.arguments import settle_switches

SWITCHES = {"-d": "", "--detach": "", "-q": "", "--tty": "--no-tty"}
VALUED = {"-n", "--name"}


def settle(*arguments: str, interspersed: bool = True) -> list[str]:
    return settle_switches(arguments, SWITCHES, VALUED, interspersed)


def test_a_switch_may_say_true_or_false():
    assert settle("--detach=true", "web") == ["--detach", "web"]
    assert settle("--detach=false", "web") == ["web"]
    assert settle("-d=1", "-q=F", "web") == ["-d", "web"]


def test_a_switch_that_can_be_put_out_is():
    assert settle("--tty=false", "web") == ["--no-tty", "web"]
    assert settle("--tty", "--tty=0") == ["--no-tty"]
    assert settle("--tty=true") == ["--tty"]


def test_the_last_one_wins():
    assert settle("--detach", "--detach=false") == []
    assert settle("--detach=false", "--detach") == ["--detach"]


def test_what_belongs_to_another_flag_is_left_alone():
    assert settle("--name", "--detach=false", "web") == ["--name", "--detach=false", "web"]
    assert settle("--name=--detach=false") == ["--name=--detach=false"]
    assert settle("-n=5") == ["-n", "5"]


def test_the_command_of_a_container_is_left_alone():
    assert settle("-d=true", "image", "--detach=false", interspersed=False) == ["-d", "image", "--detach=false"]
    assert settle("--", "--detach=false") == ["--", "--detach=false"]
    assert settle("web", "--detach=true") == ["web", "--detach"]


def test_a_value_that_is_neither_is_refused_with_what_to_write():
    with pytest.raises(InvalidArgument, match='invalid argument "maybe" for "--detach" flag: write true or false'):
        settle("--detach=maybe")


@given(st.lists(st.sampled_from(["a", "-d", "--detach", "--name=x", "-", "--unknown=1", "-n", "5"])))
def test_arguments_without_a_switch_that_has_a_value_stay_as_they_are(arguments):
    assert settle(*arguments) == arguments
