"""What create and update make of their flags. `flags` are those of the command itself, so none can be forgotten."""

import copy

import click
import pytest

from pyswarm.cli.service.change import change_spec
from pyswarm.cli.service.create import create, service_spec
from pyswarm.cli.service.update import update

CURRENT = {
    "Name": "web",
    "Labels": {"old": "1"},
    "TaskTemplate": {
        "ContainerSpec": {
            "Image": "busybox",
            "Env": ["A=1", "B=2"],
            "Mounts": [{"Type": "bind", "Source": "/a", "Target": "/a"}, {"Type": "tmpfs", "Target": "/t"}],
        },
        "Placement": {"Constraints": ["node.role==worker", "node.labels.a==b"]},
    },
    "Mode": {"Replicated": {"Replicas": 2}},
    "EndpointSpec": {"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"}]},
}


def flags(command: click.Command, *arguments: str) -> dict[str, object]:
    return command.make_context("x", [*arguments]).params


def updated(*arguments: str) -> dict:
    spec = copy.deepcopy(CURRENT)
    given = flags(update, "web", *arguments)
    given.pop("service")
    change_spec(spec, given)
    return spec


def created(*arguments: str) -> dict:
    given = flags(create, *arguments)
    return service_spec("web", given.pop("image"), given.pop("arguments"), given)


def test_without_flags_nothing_changes():
    assert updated() == CURRENT
    assert created("busybox") == {
        "Name": "web",
        "Labels": {},
        "TaskTemplate": {"ContainerSpec": {"Image": "busybox:latest"}},
        "Mode": {"Replicated": {}},
    }


def test_what_is_removed_goes_and_what_is_added_takes_the_place_of_its_like():
    container = updated(
        "--env-add=B=3", "--env-add=C=4", "--env-rm=A", "--mount-rm=/t", "--mount-add=type=bind,source=/b,target=/a",
        "--container-label-add=x=y",
    )["TaskTemplate"]["ContainerSpec"]  # fmt: skip
    assert container["Env"] == ["B=3", "C=4"]
    assert container["Mounts"] == [{"Type": "bind", "Source": "/b", "Target": "/a"}]
    assert container["Labels"] == {"x": "y"}
    assert updated("--label-rm=old", "--label-add=new=2", "--label-rm=none")["Labels"] == {"new": "2"}
    constraints = ["node.id==x", "node.labels.a==b"]
    changed = updated("--constraint-rm=node.role==worker", "--constraint-add=node.id==x")
    assert changed["TaskTemplate"]["Placement"]["Constraints"] == constraints


def test_ports_are_removed_by_target_protocol_and_mode():
    def published(*arguments: str) -> list[tuple[int, int]]:
        ports = updated(*arguments)["EndpointSpec"]["Ports"]
        return [(port.get("PublishedPort", 0), port["TargetPort"]) for port in ports]

    assert published("--publish-rm=80") == []
    assert published("--publish-rm=80/udp") == [(8080, 80)]
    assert published("--publish-rm=target=80,mode=host") == [(8080, 80)]
    assert published("--publish-rm=8080:80", "--publish-add=9090:80") == [(9090, 80)]
    assert published("--publish-add=9090:81", "--publish-add=8080:80") == [(8080, 80), (9090, 81)]


def test_a_section_of_which_anything_is_given_starts_from_dockers_defaults():
    spec = updated("--restart-max-attempts=3", "--update-delay=2s", "--reserve-cpu=0.5")
    assert spec["TaskTemplate"]["RestartPolicy"] == {"Condition": "any", "Delay": 5 * 10**9, "MaxAttempts": 3}
    assert spec["UpdateConfig"]["Parallelism"] == 1
    assert spec["UpdateConfig"]["Delay"] == 2 * 10**9
    assert spec["TaskTemplate"]["Resources"] == {"Limits": {}, "Reservations": {"NanoCPUs": 5 * 10**8}}


def test_force_counts_and_replicas_need_a_replicated_service():
    assert updated("--force")["TaskTemplate"]["ForceUpdate"] == 1
    assert updated("--replicas=0")["Mode"] == {"Replicated": {"Replicas": 0}}
    with pytest.raises(click.ClickException, match="replicas can only be used with replicated or replicated-job mode"):
        created("--mode=global", "--replicas=2", "busybox")


def test_the_last_of_the_variables_of_one_name_counts():
    assert created("-eA=1", "-eB=2", "-eA=3", "busybox")["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=3", "B=2"]


def test_what_follows_the_image_is_the_containers():
    spec = created("-d", "busybox", "sleep", "--detach=false", "-h")
    assert spec["TaskTemplate"]["ContainerSpec"]["Args"] == ["sleep", "--detach=false", "-h"]


def test_what_contradicts_itself_is_refused():
    for arguments, message in (
        (["--no-healthcheck", "--health-cmd=true"], "--no-healthcheck conflicts with --health-"),
        (["--log-opt=a=b"], "--log-opt needs --log-driver"),
        (["--max-concurrent=2"], "max-concurrent can only be used with replicated-job mode"),
        (["--mode=global-job", "--replicas=2"], "replicas can only be used with replicated or replicated-job mode"),
        (["--mode=global", "--replicas-max-per-node=2"], "replicas-max-per-node can only be used with replicated"),
    ):
        with pytest.raises(click.ClickException, match=message):
            created(*arguments, "busybox")
    with pytest.raises(click.ClickException, match="max-concurrent can only be used with replicated-job mode"):
        updated("--max-concurrent=2")


def test_memory_swap_and_swappiness():
    resources = created("--limit-memory=64m", "--memory-swap=32m", "--memory-swappiness=-1", "busybox")["TaskTemplate"]
    assert resources["Resources"] == {
        "Limits": {"MemoryBytes": 64 << 20},
        "Reservations": {},
        "SwapBytes": 32 << 20,
        "MemorySwappiness": -1,
    }
    assert updated("--memory-swap=-1")["TaskTemplate"]["Resources"]["SwapBytes"] == -1


def test_variables_come_out_of_a_file_and_flags_count_more(tmp_path, monkeypatch):
    monkeypatch.setenv("HERE", "mine")
    monkeypatch.delenv("NOWHERE", raising=False)
    file = tmp_path / "env"
    file.write_text("# a comment\n\nA=1\n  B=two words\nHERE\nNOWHERE\n")
    container = created(f"--env-file={file}", "--env=A=2", "busybox")["TaskTemplate"]["ContainerSpec"]
    assert container["Env"] == ["A=2", "B=two words", "HERE=mine"]
    with pytest.raises(click.BadParameter, match="cannot read"):
        created("--env-file=/nowhere/none", "busybox")
