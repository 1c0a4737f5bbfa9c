"""Published ports, and tasks on their way from NEW to PENDING."""

from dataclasses import replace

import pytest

from core.model import (
    Cluster,
    ClusterSpec,
    Endpoint,
    EndpointSpec,
    LogDriver,
    Meta,
    PortConfig,
    Protocol,
    PublishMode,
    Service,
    ServiceSpec,
    Task,
    TaskSpec,
    TaskState,
)
from manager.allocator import Allocator
from manager.allocator.ports import FIRST_AUTOMATIC, LAST_AUTOMATIC
from tests.support.stage import Stage


def port(target: int, published: int = 0, mode: PublishMode = PublishMode.INGRESS, name: str = "") -> PortConfig:
    return PortConfig(name, Protocol.TCP, target, published, mode)


def service(service_id: str, *ports: PortConfig) -> Service:
    return Service(id=service_id, spec=ServiceSpec(name=service_id, endpoint=EndpointSpec(ports=ports)))


def update(stage: Stage, service_id: str, *ports: PortConfig) -> None:
    current = stage.service(service_id)
    stage.put(
        replace(
            current,
            spec=replace(current.spec, endpoint=EndpointSpec(ports=ports)),
            spec_version=current.spec_version + 1,
        )
    )
    stage.run()


def published(stage: Stage, service_id: str) -> list[int]:
    return [port.published_port for port in stage.service(service_id).endpoint.ports]


def put(stage: Stage, *items: Service | Task) -> None:
    for item in items:
        stage.put(item)
    stage.run()


def test_API_05_automatic_ports_come_from_30000_on_and_are_distinct():
    stage = Stage(Allocator())
    put(stage, *(service(f"s{number}", port(80), port(443)) for number in range(20)))
    given = [number for index in range(20) for number in published(stage, f"s{index}")]
    assert len(set(given)) == 40
    assert all(FIRST_AUTOMATIC <= number <= LAST_AUTOMATIC for number in given)


def test_API_05_an_update_keeps_the_automatic_ports():
    stage = Stage(Allocator())
    put(stage, service("a", port(80), port(443)), service("b", port(80)))
    before = published(stage, "a")
    update(stage, "a", port(443), port(8080), port(80))
    after = published(stage, "a")
    assert [after[2], after[0]] == before
    assert after[1] not in before
    update(stage, "a", port(443))
    assert published(stage, "a") == [before[1]]


@pytest.mark.parametrize(
    "ports",
    [
        (port(80), port(80), port(80)),
        (port(80), port(80, 8080)),
        (port(80, 8080), port(80)),
        (port(80, 8080), port(80), port(80, 8081), port(80)),
    ],
)
def test_API_05_ports_that_are_described_alike_are_kept_apart(ports: tuple[PortConfig, ...]):
    stage = Stage(Allocator())
    put(stage, service("a", *ports))
    first = published(stage, "a")
    assert [given for given, asked in zip(first, ports, strict=True) if asked.published_port] == [
        asked.published_port for asked in ports if asked.published_port
    ]
    assert len(set(first)) == len(ports)
    update(stage, "a", *ports)
    successor = Stage(Allocator())
    successor.tx = stage.tx
    successor.run()
    assert published(successor, "a") == first
    successor.remove(Service, "a")
    successor.run()


def test_a_number_that_was_picked_and_is_now_asked_for_is_not_kept_for_another_port():
    stage = Stage(Allocator())
    put(stage, service("a", port(80)))
    (picked,) = published(stage, "a")
    update(stage, "a", port(80), port(443, picked))
    first, second = published(stage, "a")
    assert (first != picked, second) == (True, picked)


def test_API_05_the_next_leader_takes_earlier_allocations_back_before_it_gives_any():
    stage = Stage(Allocator())
    held = replace(service("old", port(80)), endpoint=Endpoint((port(80, FIRST_AUTOMATIC),)), meta=Meta(0, 1, 1))
    put(stage, service("new", port(80)), held)
    assert published(stage, "old") == [FIRST_AUTOMATIC]
    assert published(stage, "new") == [FIRST_AUTOMATIC + 1]


def test_a_port_that_was_given_up_is_not_at_once_another_services():
    stage = Stage(Allocator())
    put(stage, service("a", port(80)))
    (first,) = published(stage, "a")
    stage.remove(Service, "a")
    put(stage, service("b", port(80)))
    assert published(stage, "b") != [first]


def test_an_automatic_port_is_none_that_somebody_publishes():
    stage = Stage(Allocator())
    put(
        stage,
        service("fixed", port(80, FIRST_AUTOMATIC)),
        service("host", port(80, FIRST_AUTOMATIC + 1, PublishMode.HOST)),
    )
    put(stage, service("a", port(80), port(81, FIRST_AUTOMATIC + 2)))
    assert published(stage, "a") == [FIRST_AUTOMATIC + 3, FIRST_AUTOMATIC + 2]


def test_host_ports_are_left_as_they_are_and_may_be_shared():
    stage = Stage(Allocator())
    host = port(80, 8080, PublishMode.HOST)
    open_host = port(81, 0, PublishMode.HOST)
    put(stage, service("a", host, open_host), service("b", host))
    assert stage.service("a").endpoint.ports == (host, open_host)
    assert stage.service("b").endpoint.ports == (host,)
    assert not stage.service("b").error


def test_a_conflict_is_said_on_the_service_and_ends_with_its_cause():
    stage = Stage(Allocator())
    put(stage, service("a", port(80, 8080)), service("b", port(80, 8080)))
    assert stage.service("b").error == ("port 8080/tcp is held by service a: publish another port, or remove it there")
    assert published(stage, "b") == []
    stage.remove(Service, "a")
    stage.run()
    assert (stage.service("b").error, published(stage, "b")) == ("", [8080])


def test_an_update_to_a_port_that_is_taken_leaves_the_old_ones_in_force():
    stage = Stage(Allocator())
    put(stage, service("a", port(80, 8080)), service("b", port(80, 9090)))
    update(stage, "b", port(80, 8080), port(81))
    assert published(stage, "b") == [9090]
    assert "8080/tcp is held by service a" in stage.service("b").error
    put(stage, service("c", port(80, 9090)))
    assert "9090/tcp is held by service b" in stage.service("c").error
    update(stage, "a", port(80, 7070))
    assert published(stage, "b")[0] == 8080
    assert (stage.service("b").error, stage.service("c").error) == ("", "")


def test_without_a_free_port_the_service_says_so():
    stage = Stage(Allocator())
    everything = range(FIRST_AUTOMATIC, LAST_AUTOMATIC + 1)
    put(stage, service("all", *(port(number, number) for number in everything)))
    put(stage, service("late", port(80)))
    assert stage.service("late").error.startswith("no free port is left between 30000 and 32767")
    update(stage, "all", port(80, 80))
    assert len(published(stage, "late")) == 1


def test_a_new_task_becomes_pending_with_its_services_ports():
    stage = Stage(Allocator())
    put(stage, service("a", port(80)), Task(id="t", service_id="a"))
    task = stage.task("t")
    assert (task.status.state, task.status.message) == (TaskState.PENDING, "pending task scheduling")
    assert task.ports == stage.service("a").endpoint.ports != ()


def test_a_task_waits_for_its_service_and_says_what_for():
    stage = Stage(Allocator())
    put(stage, service("a", port(80, 8080)), service("b", port(80, 8080)), Task(id="t", service_id="b"))
    assert stage.task("t").status.state is TaskState.NEW
    assert stage.task("t").status.err == stage.service("b").error != ""
    written = stage.writes()
    put(stage, service("c"))
    assert stage.writes() == written + 1
    stage.remove(Service, "a")
    stage.run()
    assert (stage.task("t").status.state, stage.task("t").status.err) == (TaskState.PENDING, "")


def test_a_task_that_is_not_wanted_or_has_no_service_is_left_alone():
    stage = Stage(Allocator())
    put(
        stage,
        service("a"),
        Task(id="stopped", service_id="a", desired_state=TaskState.SHUTDOWN),
        Task(id="orphan", service_id="gone"),
        Task(id="fine", service_id="a"),
    )
    states = [stage.task(task_id).status.state for task_id in ("stopped", "orphan", "fine")]
    assert states == [TaskState.NEW, TaskState.NEW, TaskState.PENDING]


def test_many_tasks_are_passed_on_in_steps():
    stage = Stage(Allocator())
    put(stage, service("a"), *(Task(id=f"t{number}", service_id="a") for number in range(1_200)))
    assert stage.steps >= 3
    assert {task.status.state for task in stage.tx.tasks()} == {TaskState.PENDING}


def test_however_many_services_wait_a_step_looks_at_so_many_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("manager.allocator.allocator.MAX_LOOKS", 10)
    stage = Stage(Allocator())
    put(stage, service("holder", port(80, 8080)))
    put(stage, *(service(f"s{number}", port(80, 8080)) for number in range(50)))
    before = stage.steps
    stage.remove(Service, "holder")
    stage.run()
    assert stage.steps - before > 5
    assert sum(bool(published(stage, f"s{number}")) for number in range(50)) == 1


def test_a_second_look_changes_nothing():
    stage = Stage(Allocator())
    put(stage, service("a", port(80)), service("b", port(81, 8080)), service("c", port(82, 8080)), service("d"))
    successor = Stage(Allocator())
    successor.tx = stage.tx
    written = stage.writes()
    successor.run()
    assert successor.writes() == written


def test_a_task_gets_the_clusters_log_driver_where_its_service_names_none():
    stage = Stage(Allocator())
    stage.put(Cluster(id="c", spec=ClusterSpec(log_driver=LogDriver("journald"))))
    own = TaskSpec(log_driver=LogDriver("json-file"))
    put(stage, service("s"), Task(id="without", service_id="s"), Task(id="with", service_id="s", spec=own))
    assert stage.task("without").log_driver == LogDriver("journald")
    assert stage.task("with").log_driver is None
