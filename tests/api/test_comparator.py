import pytest

from tests.api.comparator import Comparator

SERVICE = {
    "ID": "s" * 25,
    "Version": {"Index": 7},
    "CreatedAt": "2026-11-21T07:06:20.5Z",
    "Spec": {"Name": "web", "Labels": {}, "Flag": False},
    "Endpoint": {"Spec": {}},
}


def test_the_same_answer_of_another_cluster_is_the_same():
    ours = {**SERVICE, "ID": "t" * 25, "Version": {"Index": 9}, "CreatedAt": "2027-01-01T00:00:00Z"}
    comparator = Comparator()
    assert comparator.differences("services", [SERVICE], [ours]) == []
    assert comparator.translate(f"service {'s' * 25} at 7") == f"service {'t' * 25} at 7"


@pytest.mark.parametrize(
    "change",
    [
        {"ID": 1},
        {"ID": "short"},
        {"Version": {"Index": "7"}},
        {"Version": {}},
        {"CreatedAt": 7},
        {"CreatedAt": "2026-11-21 07:06:20"},
        {"CreatedAt": "2026-11-21T07:06:20.50Z"},
        {"Spec": {"Name": "other", "Labels": {}, "Flag": False}},
        {"Spec": {"Name": "web", "Labels": None, "Flag": False}},
        {"Spec": {"Name": "web", "Labels": {}, "Flag": 0}},
        {"Spec": {"Name": "web", "Labels": {}}},
        {"Extra": 1},
    ],
)
def test_a_difference_is_found(change):
    assert Comparator().differences("services", SERVICE, {**SERVICE, **change})


def test_an_id_stands_for_one_object_only():
    comparator = Comparator()
    assert comparator.differences("services", SERVICE, SERVICE) == []
    assert comparator.differences("services", SERVICE, {**SERVICE, "ID": "t" * 25})


def test_lists_are_held_whole_unless_they_were_cut():
    other = {**SERVICE, "ID": "o" * 25, "Spec": {**SERVICE["Spec"], "Name": "other"}}
    assert Comparator().differences("services", [SERVICE, other], [other, SERVICE]) == []
    assert Comparator().differences("services", [SERVICE], [SERVICE, other])
    assert Comparator().differences("services", [SERVICE], [SERVICE, other], cut=True) == []
    assert Comparator().differences("services", [SERVICE], [other], cut=True)
