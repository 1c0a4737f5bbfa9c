"""How long an old version of a secret or config stays."""

from dataclasses import replace

import pytest

from core.errors import FailedPrecondition
from core.model import (
    Availability,
    Config,
    ConfigReference,
    ConfigSpec,
    ContainerSpec,
    DependencyKind,
    FailureAction,
    FileTarget,
    Secret,
    SecretReference,
    SecretSpec,
    Service,
    ServiceMode,
    ServiceSpec,
    TaskState,
    UpdateConfig,
    UpdateState,
)
from manager.control import dependencies
from tests.support.small_cluster import SmallCluster, spec

KINDS: list[DependencyKind] = [Secret, Config]


class World(SmallCluster):
    """Two nodes and `one`, a secret or config of id v1, which services may use."""

    def __init__(self, kind: DependencyKind = Secret) -> None:
        super().__init__(nodes=2)
        self.kind = kind
        made = SecretSpec("one", data=b"1") if kind is Secret else ConfigSpec("one", data=b"1")
        self.write(lambda tx: dependencies.create(tx, "v1", made))

    def using(self, replicas: int = 2, name: str = "web", mode: ServiceMode = ServiceMode.REPLICATED) -> ServiceSpec:
        file = FileTarget("one")
        container = (
            ContainerSpec(image="busybox", secrets=(SecretReference("v1", "one", file),))
            if self.kind is Secret
            else ContainerSpec(image="busybox", configs=(ConfigReference("v1", "one", file),))
        )
        return spec(replicas, name=name, mode=mode, container=container)

    def renew(self, number: int) -> None:
        data = str(number).encode()
        self.write(lambda tx: dependencies.add_version(tx, self.kind, "one", data, f"v{number}"))
        self.settle()

    def versions(self) -> list[str]:
        held = [item.id for item in (*self.store.secrets(), *self.store.configs())]
        assert held == [item.id for item in (*self.follower.secrets(), *self.follower.configs())]
        return held

    def roll_out(self) -> None:
        """Until every task is what its service asks for, and has been watched."""
        for _ in range(20):
            self.obey()
            self.wait(5)

    def used(self, service: Service) -> set[str]:
        """By its live tasks."""
        containers = [task.spec.container for task in self.live(service.id)]
        return {item.secret_id for c in containers for item in c.secrets} | {
            item.config_id for c in containers for item in c.configs
        }


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_that_nothing_uses_goes_at_once(kind: DependencyKind) -> None:
    world = World(kind)
    world.renew(2)
    assert world.versions() == ["v2"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_version_replaces_the_tasks_and_a_rollback_brings_the_old_one_back(kind: DependencyKind) -> None:
    world = World(kind)
    web = world.create(world.using())
    world.obey()
    world.renew(2)
    world.roll_out()
    assert world.used(web) == {"v2"}
    assert len(world.running(web.id)) == 2
    status = world.service(web.id).update_status
    assert status is not None
    assert status.state is UpdateState.COMPLETED
    assert world.versions() == ["v1", "v2"], "it may be rolled back to"
    world.roll_back(web.id)
    world.roll_out()
    assert world.used(web) == {"v1"}
    assert world.versions() == ["v1", "v2"]


def test_two_specs_back_nothing_is_kept_once_its_tasks_have_ended() -> None:
    world = World()
    web = world.create(world.using())
    world.obey()
    world.renew(2)
    world.update(web.id, replace(world.service(web.id).spec, labels={"a": "b"}))
    assert world.versions() == ["v1", "v2"], "the tasks of the first still run"
    world.roll_out()
    assert world.versions() == ["v2"]
    world.renew(3)
    world.roll_out()
    assert world.used(web) == {"v3"}
    assert world.versions() == ["v2", "v3"]
    world.remove_service(web.id)
    world.roll_out()
    assert world.versions() == ["v3"], "the newest goes only when a user removes it"


def test_an_old_version_stays_while_another_service_uses_it() -> None:
    world = World()
    web, other = world.create(world.using()), world.create(world.using(name="other"))
    world.obey()
    world.renew(2)
    world.roll_back(other.id)
    world.update(web.id, replace(world.service(web.id).spec, labels={"a": "b"}))
    world.roll_out()
    assert world.versions() == ["v1", "v2"]
    world.remove_service(other.id)
    world.roll_out()
    assert world.versions() == ["v2"]


def test_a_task_that_has_not_ended_keeps_its_version_though_its_service_is_gone() -> None:
    world = World()
    web = world.create(world.using())
    world.obey()
    world.renew(2)
    world.remove_service(web.id)
    assert world.versions() == ["v1", "v2"]
    world.roll_out()
    assert world.versions() == ["v2"]


def test_a_new_leader_finds_what_the_last_one_left() -> None:
    world = World()
    web = world.create(world.using())
    world.obey()
    world.renew(2)
    world.write(lambda tx: tx.delete(Service, web.id))
    for task in list(world.store.tasks()):
        world.write(lambda tx, task=task: tx.delete(type(task), task.id))
    world.change_leader()
    world.settle()
    assert world.versions() == ["v2"]


def test_a_version_with_which_tasks_fail_is_rolled_back_as_any_update_is() -> None:
    world = World()
    config = UpdateConfig(parallelism=1, failure_action=FailureAction.ROLLBACK)
    web = world.create(replace(world.using(), update=config))
    world.obey()
    world.renew(2)
    for _ in range(40):
        for task in list(world.store.tasks()):
            if task.status.state >= TaskState.ASSIGNED:
                fails = task.spec.container.secrets[0].secret_id == "v2"
                world.report(task.id, TaskState.REJECTED if fails else min(task.desired_state, TaskState.SHUTDOWN))
        world.wait(1)
    status = world.service(web.id).update_status
    assert status is not None
    assert status.state is UpdateState.ROLLBACK_COMPLETED
    assert world.used(web) == {"v1"}
    assert "v1" in world.versions()


def test_a_paused_update_keeps_what_it_can_be_rolled_back_to() -> None:
    world = World()
    web = world.create(world.using(replicas=4))
    world.obey()
    good = world.service(web.id).spec
    bad = replace(good.task, container=replace(good.task.container, image="bad"))
    world.update(web.id, replace(good, task=bad))
    for _ in range(10):
        for task in list(world.store.tasks()):
            if task.status.state >= TaskState.ASSIGNED:
                fails = task.spec.container.image == "bad"
                world.report(task.id, TaskState.REJECTED if fails else min(task.desired_state, TaskState.SHUTDOWN))
        world.wait(1)
    paused = world.service(web.id)
    assert paused.update_status is not None
    assert paused.update_status.state is UpdateState.PAUSED
    assert len(world.running(web.id)) == 3
    with pytest.raises(FailedPrecondition, match="following service: web;"):
        world.renew(2)
    assert world.service(web.id) == paused
    assert world.versions() == ["v1"]
    world.roll_back(web.id)
    world.roll_out()
    world.renew(2)
    world.roll_out()
    assert world.service(web.id).spec.task.container.image == "busybox"
    assert world.used(web) == {"v2"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_that_begins_anew_with_a_node_is_not_rolled_back_to_what_needs_what_is_gone(
    kind: DependencyKind,
) -> None:
    world = World(kind)
    config = UpdateConfig(failure_action=FailureAction.ROLLBACK)
    web = world.create(replace(world.using(mode=ServiceMode.GLOBAL), update=config))
    world.obey()
    node = world.node("node-1")
    world.put_node(replace(node, spec=replace(node.spec, availability=Availability.PAUSE)))
    without = spec(None, mode=ServiceMode.GLOBAL, image="other")
    wanted = world.update(web.id, replace(without, update=config)).spec
    world.roll_out()
    world.write(lambda tx: dependencies.remove(tx, kind, "one"))
    world.put_node(node)
    world.settle()
    world.obey("node-1")
    (new,) = [task for task in world.live(web.id) if task.node_id == "node-1"]
    world.report(new.id, TaskState.FAILED)
    found = world.service(web.id)
    assert found.spec == wanted
    assert found.update_status is not None
    assert found.update_status.state is UpdateState.PAUSED
    assert found.update_status.message == (
        f"update paused due to failure or early termination of task {new.id}; it is not rolled back, since the spec "
        f"before it needs what was removed: {kind.__name__.lower()} one"
    )


def test_a_job_is_not_run_again_for_a_new_version() -> None:
    world = World()
    job = world.create(world.using(None, mode=ServiceMode.REPLICATED_JOB))
    before = world.service(job.id).job_status
    world.renew(2)
    assert world.service(job.id).job_status == before
    assert world.service(job.id).spec.task.container.secrets[0].secret_id == "v2"
