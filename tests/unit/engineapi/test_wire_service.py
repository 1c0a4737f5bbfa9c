import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import codec
from core.errors import InvalidArgument
from core.model import (
    ClusterSpec,
    Endpoint,
    GenericResource,
    LogDriver,
    Meta,
    NodeSpec,
    PortConfig,
    Service,
    ServiceMode,
    ServiceSpec,
    Task,
    UpdateConfig,
    UpdateState,
    UpdateStatus,
)
from manager.control import TaskCounts
from pyswarm.engineapi.wire.cluster import read_update, show_cluster_spec
from pyswarm.engineapi.wire.membership import read_init, read_join
from pyswarm.engineapi.wire.node import read_node_spec
from pyswarm.engineapi.wire.service import read_service_spec, show_counts, show_service, show_service_spec
from pyswarm.engineapi.wire.task import show_task
from tests.unit.engineapi.specs import ANY_JSON, FULL, damaged, every_damage, service_specs

MINIMAL = {
    "Name": "s0",
    "Labels": {},
    "TaskTemplate": {
        "ContainerSpec": {"Image": "busybox:latest", "Args": ["sleep", "1000"], "Init": False, "DNSConfig": {}},
        "Resources": {"Limits": {}, "Reservations": {}},
        "Placement": {},
        "ForceUpdate": 0,
    },
    "Mode": {"Replicated": {}},
    "EndpointSpec": {"Mode": "vip"},
}
"""What `docker service create --name s0 busybox sleep 1000` sends."""

DEFAULT_UPDATE = {
    "Parallelism": 1,
    "FailureAction": "pause",
    "Monitor": 5 * 10**9,
    "MaxFailureRatio": 0,
    "Order": "stop-first",
}


def with_key(path: str, value: object) -> dict:
    """MINIMAL with the value put at the dotted path."""
    body = json.loads(json.dumps(MINIMAL))
    at = body
    *outer, last = path.split(".")
    for key in outer:
        at = at.setdefault(key, {})
    at[last] = value
    return body


@given(service_specs())
def test_a_spec_is_read_back_as_it_was_shown(spec):
    shown = show_service_spec(spec)
    assert read_service_spec(json.loads(json.dumps(shown))) == spec


@given(ANY_JSON | damaged(show_service_spec(FULL)))
def test_any_body_is_a_spec_that_the_log_can_hold_or_is_refused(body):
    accept_or_refuse(read_service_spec, body)


def test_every_member_is_checked():
    for body in every_damage(show_service_spec(FULL)):
        accept_or_refuse(read_service_spec, body)


def accept_or_refuse(read, body):
    """What is accepted goes through the log unchanged; the rest is the user's fault, not a crash."""
    try:
        spec = read(body)
    except InvalidArgument:
        return
    if isinstance(spec, ServiceSpec | NodeSpec | ClusterSpec):
        assert codec.load(type(spec), codec.dump(spec)) == spec


@pytest.mark.parametrize("read", [read_node_spec, lambda body: read_update(body, ClusterSpec()), read_init, read_join])
@given(data=st.data())
def test_any_body_is_understood_or_refused(read, data):
    body = data.draw(
        ANY_JSON
        | damaged({"Name": "", "Labels": {"a": "b"}, "Role": "worker", "Availability": "active"})
        | damaged({"Orchestration": {"TaskHistoryRetentionLimit": 5}, "Raft": {"ElectionTick": 10}, "CAConfig": {}})
        | damaged({"Spec": {"Dispatcher": {"HeartbeatPeriod": 5}}, "SubnetSize": 24, "RemoteAddrs": ["a:2377"]})
    )
    accept_or_refuse(read, body)


def test_what_the_docker_command_sends_is_shown_as_dockerd_shows_it():
    shown = show_service_spec(read_service_spec(MINIMAL))
    assert shown == {
        "Name": "s0",
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "busybox:latest",
                "Args": ["sleep", "1000"],
                "Init": False,
                "DNSConfig": {},
                "Isolation": "default",
            },
            "Resources": {"Limits": {}, "Reservations": {}},
            "Placement": {},
            "ForceUpdate": 0,
            "Runtime": "container",
        },
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "vip"},
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("TaskTemplate.ContainerSpec.Privileges", {"NoNewPrivileges": True}),
        ("TaskTemplate.Networks", [{"Target": "net"}]),
        ("TaskTemplate.PluginSpec", {"Name": "x"}),
        ("Networks", [{"Target": "net"}]),
        ("TaskTemplate.ContainerSpec.Mounts", [{"Type": "npipe"}]),
        ("TaskTemplate.ContainerSpec.Mounts", [{"Type": "volume", "VolumeOptions": {"Subpath": "a"}}]),
        ("TaskTemplate.ContainerSpec.Isolation", "hyperv"),
        ("TaskTemplate.Runtime", "plugin"),
        ("NoSuchKey", "x"),
    ],
)
def test_what_is_not_there_yet_is_refused_by_name(path, value):
    last = path.rsplit(".", 1)[-1]
    with pytest.raises(InvalidArgument, match=last):
        read_service_spec(with_key(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("TaskTemplate.ContainerSpec.Secrets", None),
        ("TaskTemplate.ContainerSpec.Privileges", {"CredentialSpec": None, "SELinuxContext": None}),
        ("TaskTemplate.ContainerSpec.DNSConfig", {}),
        ("TaskTemplate.ContainerSpec.Isolation", "default"),
        ("TaskTemplate.Runtime", "container"),
        ("TaskTemplate.Networks", []),
        ("UpdateConfig", {"Parallelism": 1, "FailureAction": "pause", "Monitor": 5_000_000_000, "Order": "stop-first"}),
        (
            "RollbackConfig",
            {"Parallelism": 1, "FailureAction": "pause", "Monitor": 5_000_000_000, "Order": "stop-first"},
        ),
    ],
)
def test_zero_and_default_values_are_accepted(path, value):
    read_service_spec(with_key(path, value))


def test_clients_that_write_keys_in_lower_case_are_understood():
    body = {"name": "a", "tasktemplate": {"containerspec": {"image": "i"}}, "mode": {"global": {}}}
    spec = read_service_spec(body)
    assert (spec.name, spec.mode, spec.task.container.image) == ("a", ServiceMode.GLOBAL, "i")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "TaskTemplate must be given"),
        ({"TaskTemplate": {}}, "TaskTemplate.ContainerSpec must be given"),
        (with_key("Mode", {"Replicated": {}, "Global": {}}), "must specify only one service mode"),
        (with_key("Mode", {"ReplicatedJob": {}, "GlobalJob": {}}), "must specify only one service mode"),
        (with_key("TaskTemplate.Placement.Preferences", [{}]), "Spread must be given"),
        (with_key("TaskTemplate.Resources.Reservations.GenericResources", [{}]), "DiscreteResourceSpec or NamedRes"),
        (
            with_key("TaskTemplate.Resources.Reservations.GenericResources", [{"NamedResourceSpec": {"Kind": "gpu"}}]),
            "NamedResourceSpec.Value must name",
        ),
        (with_key("EndpointSpec.Ports", [{"TargetPort": 65536}]), "between 0 and 65535"),
        (with_key("EndpointSpec.Ports", [{"Protocol": "quic"}]), "Protocol: 'quic' is not one that pyswarm supports"),
        (with_key("EndpointSpec.Mode", "nosuch"), "EndpointSpec.Mode: 'nosuch' is not one"),
    ],
)
def test_what_is_wrong_is_said(body, message):
    with pytest.raises(InvalidArgument, match=message):
        read_service_spec(body)


def test_the_clusters_log_driver_is_read_and_shown_and_stays_where_nothing_is_said():
    stated = {"TaskDefaults": {"LogDriver": {"Name": "journald", "Options": {"tag": "a"}}}}
    spec, _ = read_update(stated, ClusterSpec())
    assert spec.log_driver == LogDriver("journald", {"tag": "a"})
    assert show_cluster_spec(spec)["TaskDefaults"] == stated["TaskDefaults"]
    assert read_update({"TaskDefaults": {}}, spec)[0].log_driver == spec.log_driver
    assert show_cluster_spec(ClusterSpec())["TaskDefaults"] == {}


def test_a_jobs_task_is_shown_with_its_run_and_slots_from_zero():
    task = Task(id="t", slot=1, job_iteration=0, generic=(GenericResource("gpu", "UUID1"),))
    shown = show_task(task)
    assert ("Slot" in shown, shown["JobIteration"]) == (False, {})
    assert shown["GenericResources"] == [{"NamedResourceSpec": {"Kind": "gpu", "Value": "UUID1"}}]
    later = show_task(replace(task, slot=3, job_iteration=2))
    assert (later["Slot"], later["JobIteration"]) == (2, {"Index": 2})
    assert show_task(Task(id="t", slot=1))["Slot"] == 1


def test_defaults_are_shown_only_where_they_are_asked_for():
    service = Service(id="s" * 25, spec=read_service_spec(MINIMAL))
    assert "UpdateConfig" not in show_service(service)["Spec"]
    shown = show_service(service, defaults=True)["Spec"]
    update = {
        "Parallelism": 1,
        "FailureAction": "pause",
        "Monitor": 5 * 10**9,
        "MaxFailureRatio": 0,
        "Order": "stop-first",
    }
    assert shown["UpdateConfig"] == update
    assert shown["RollbackConfig"] == update
    assert shown["TaskTemplate"]["RestartPolicy"] == {"Condition": "any", "Delay": 5 * 10**9, "MaxAttempts": 0}
    assert shown["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] == 10 * 10**9


def test_defaults_leave_what_is_stated():
    stated = replace(read_service_spec(MINIMAL), update=UpdateConfig(parallelism=3))
    shown = show_service(Service(spec=stated), defaults=True)["Spec"]["UpdateConfig"]
    assert (shown["Parallelism"], shown["Monitor"]) == (3, 5 * 10**9)


def test_a_service_shows_what_became_of_it():
    spec = read_service_spec(with_key("EndpointSpec.Ports", [{"TargetPort": 80}]))
    service = Service(
        id="s" * 25,
        meta=Meta(7, 10**9, 2 * 10**9),
        spec=spec,
        previous_spec=spec,
        endpoint=Endpoint((PortConfig(target_port=80, published_port=30000),)),
        update_status=UpdateStatus(UpdateState.ROLLBACK_STARTED, started_at=10**9, message="m"),
        error="no free port",
    )
    shown = show_service(service)
    assert shown["Version"] == {"Index": 7}
    assert shown["PreviousSpec"] == shown["Spec"]
    assert shown["Endpoint"]["Spec"]["Ports"] == [{"Protocol": "tcp", "TargetPort": 80, "PublishMode": "ingress"}]
    assert shown["Endpoint"]["Ports"][0]["PublishedPort"] == 30000
    assert shown["UpdateStatus"] == {"State": "rollback_started", "StartedAt": "1970-01-01T00:00:01Z", "Message": "m"}
    assert show_counts(TaskCounts(1, 2, 3)) == {"RunningTasks": 1, "DesiredTasks": 2, "CompletedTasks": 3}
    assert shown["Error"] == "no free port"
