"""JSON is made once for every object as it is, and kept within bounds."""

from dataclasses import replace

from core.model import Meta, Service, ServiceSpec
from pyswarm.engineapi.shown import Shown

WEB = Service(id="s1", meta=Meta(7), spec=ServiceSpec("web"))


class Maker:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, int]:
        self.calls += 1
        return {"call": self.calls}


def test_the_same_object_is_shown_once():
    shown, make = Shown(), Maker()
    assert shown.of(WEB, make) == b'{"call":1}'
    assert shown.of(replace(WEB), make) == b'{"call":1}', "an equal one is the same"
    assert make.calls == 1


def test_an_object_that_differs_is_shown_anew():
    shown, make = Shown(), Maker()
    shown.of(WEB, make)
    assert shown.of(replace(WEB, error="no free port"), make) == b'{"call":2}'
    assert shown.of(WEB, make) == b'{"call":3}'


def test_what_it_depends_on_and_how_it_is_shown_are_told_apart():
    shown, make = Shown(), Maker()
    assert shown.of(WEB, make, "defaults") == b'{"call":1}'
    assert shown.of(WEB, make) == b'{"call":2}'
    assert shown.of(WEB, make, context="root") == b'{"call":3}'
    assert shown.of(WEB, make, "defaults") == b'{"call":1}'


def test_what_was_not_asked_for_the_longest_goes_first():
    one, two, three = (replace(WEB, id=f"s{number}") for number in range(3))
    shown, make = Shown(max_bytes=20), Maker()
    shown.of(one, make)
    shown.of(two, make)
    shown.of(one, make)
    shown.of(three, make)
    assert shown.of(one, make) == b'{"call":1}'
    assert shown.of(two, make) == b'{"call":4}'
