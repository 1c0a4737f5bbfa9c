import click
import pytest

from pyswarm.cli.service.listing import port_ranges, service_id
from pyswarm.cli.tasks import task_rows


def ports(*pairs: tuple[int, int], protocol: str = "tcp", mode: str = "ingress") -> list[dict]:
    return [
        {"Protocol": protocol, "PublishedPort": published, "TargetPort": target, "PublishMode": mode}
        for published, target in pairs
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (ports(), []),
        (ports((8080, 80)), ["*:8080->80/tcp"]),
        (ports((81, 81), (80, 80)), ["*:80-81->80-81/tcp"]),
        (ports((80, 80), (81, 80), (82, 80)), ["*:80-82->80/tcp"]),
        (ports((80, 80), (81, 81), (82, 80)), ["*:80-81->80-81/tcp", "*:82->80/tcp"]),
        (ports((80, 80), (82, 82)), ["*:80->80/tcp", "*:82->82/tcp"]),
        ([*ports((81, 81), protocol="udp"), *ports((80, 80))], ["*:80->80/tcp", "*:81->81/udp"]),
        (ports((80, 80), mode="host"), []),
    ],
)
def test_ports_that_follow_one_another_are_a_range(given, shown):
    assert list(port_ranges(given)) == shown


def found(identifier: str, name: str) -> dict:
    return {"ID": identifier, "Spec": {"Name": name}}


def test_a_service_is_found_by_id_then_by_name_then_by_the_beginning_of_its_id():
    web, other, third = found("abc", "web"), found("web", "abd"), found("abd", "third")
    assert service_id("web", [other], [web]) == "web"
    assert service_id("abd", [third], [other]) == "abd"
    assert service_id("third", [], [third]) == "abd"
    assert service_id("we", [other], []) == "web"
    assert service_id("none", [], []) == ""
    with pytest.raises(click.ClickException, match="multiple services found with provided prefix: ab"):
        service_id("ab", [web, third], [])


def task(identifier: str, slot: int, second: int, error: str = "", state: str = "running") -> tuple[str, dict]:
    time = f"2026-11-21T07:06:{second:02}Z"
    return f"web.{slot}", {
        "ID": identifier * 25,
        "NodeID": "n1",
        "CreatedAt": time,
        "DesiredState": "running",
        "Spec": {"ContainerSpec": {"Image": "busybox:1@sha256:abc"}},
        "Status": {"State": state, "Timestamp": time, "Err": error},
    }


def test_the_newest_task_of_a_slot_is_followed_by_its_history():
    named = [task("a", 10, 1), task("b", 2, 1, "task: non-zero exit (1) because of this", "failed"), task("c", 2, 5)]
    now = 1_795_244_770.0
    rows = task_rows(named, {"n1": "vm"}, now, indent=True, whole=False)
    assert [row["Name"] for row in rows] == ["web.2", " \\_ web.2", "web.10"]
    assert rows[1] == {
        "ID": "b" * 12,
        "Name": " \\_ web.2",
        "Image": "busybox:1",
        "Node": "vm",
        "DesiredState": "Running",
        "CurrentState": "Failed 9 seconds ago",
        "Error": '"task: non-zero exit (1) becau…"',
        "Ports": "",
    }
    whole = task_rows(named, {}, now, indent=False, whole=True)[1]
    assert (whole["ID"], whole["Name"], whole["Image"]) == ("b" * 25, "web.2", "busybox:1@sha256:abc")
    assert whole["Error"] == '"task: non-zero exit (1) because of this"'
