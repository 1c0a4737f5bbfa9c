"""Rolling updates."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.clock import SECOND
from core.model import (
    EndpointSpec,
    FailureAction,
    NodeSpec,
    NodeState,
    Placement,
    PortConfig,
    RestartPolicy,
    Service,
    ServiceMode,
    ServiceSpec,
    TaskState,
    UpdateConfig,
    UpdateOrder,
    UpdateState,
    UpdateStatus,
)
from tests.support.small_cluster import SmallCluster, spec
from tests.support.stage import make_node


@pytest.fixture
def cluster() -> SmallCluster:
    return SmallCluster(nodes=3)


def deploy(cluster: SmallCluster, wanted: ServiceSpec) -> Service:
    service = cluster.create(wanted)
    cluster.obey()
    return service


def rolling(config: UpdateConfig, replicas: int = 4, image: str = "other", **rest: object) -> ServiceSpec:
    return replace(spec(replicas, image=image, **rest), update=config)  # type: ignore[arg-type]


def images(cluster: SmallCluster, service_id: str) -> list[str]:
    tasks = sorted(cluster.live(service_id), key=lambda task: (task.slot, task.id))
    return [task.spec.container.image for task in tasks]


def state(cluster: SmallCluster, service_id: str) -> UpdateState:
    status = cluster.service(service_id).update_status
    return UpdateState.UNKNOWN if status is None else status.state


def outcome(cluster: SmallCluster, service_id: str) -> UpdateState:
    """How an update ends whose new tasks all run: they are watched for five seconds more."""
    cluster.wait(5)
    return state(cluster, service_id)


def test_UPD_01_every_task_is_replaced_and_slots_keep_their_numbers(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(4))
    before = {task.slot for task in cluster.live(service.id)}
    cluster.update(service.id, rolling(UpdateConfig()))
    assert state(cluster, service.id) is UpdateState.UPDATING
    cluster.obey()
    assert images(cluster, service.id) == ["other"] * 4
    assert {task.slot for task in cluster.live(service.id)} == before
    assert outcome(cluster, service.id) is UpdateState.COMPLETED


@pytest.mark.parametrize(("parallelism", "begun"), [(1, 1), (2, 2), (0, 4)])
def test_UPD_01_so_many_slots_move_at_a_time(cluster: SmallCluster, parallelism: int, begun: int) -> None:
    service = deploy(cluster, spec(4))
    cluster.update(service.id, rolling(UpdateConfig(parallelism)))
    assert images(cluster, service.id).count("other") == begun
    seen = begun
    while state(cluster, service.id) is UpdateState.UPDATING:
        cluster.obey_once()
        moving = [task for task in cluster.live(service.id) if task.status.state is not TaskState.RUNNING]
        assert len(moving) <= begun
        seen = max(seen, images(cluster, service.id).count("other"))
    assert seen == 4


def test_UPD_01_the_delay_is_kept_between_batches(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(3))
    cluster.update(service.id, rolling(UpdateConfig(delay=10 * SECOND), replicas=3))
    cluster.obey()
    for updated in (1, 2):
        assert images(cluster, service.id).count("other") == updated
        cluster.wait(9.9)
        cluster.obey()
        assert images(cluster, service.id).count("other") == updated
        cluster.wait(0.1)
        cluster.obey()
    assert images(cluster, service.id).count("other") == 3
    cluster.wait(9.9)
    assert state(cluster, service.id) is UpdateState.UPDATING
    assert outcome(cluster, service.id) is UpdateState.COMPLETED


@pytest.mark.parametrize("limit", [0, 1])
def test_UPD_01_a_new_leader_keeps_the_delay_too_however_short_the_history_is(limit: int) -> None:
    cluster = SmallCluster(nodes=3, history=limit)
    service = deploy(cluster, spec(3))
    cluster.update(service.id, rolling(UpdateConfig(delay=10 * SECOND), replicas=3))
    cluster.obey()
    cluster.change_leader()
    cluster.settle()
    cluster.obey()
    assert sorted(images(cluster, service.id)) == ["busybox", "busybox", "other"]
    for _ in range(3):
        cluster.wait(10)
        cluster.obey()
    assert state(cluster, service.id) is UpdateState.COMPLETED
    assert len(cluster.tasks(service.id)) == 3, "what was kept for a new leader is forgotten again"


@pytest.mark.parametrize("led_by", ["the same leader", "a new leader"])
def test_a_worker_that_keeps_talking_of_a_running_task_holds_up_no_update(cluster: SmallCluster, led_by: str) -> None:
    service = deploy(cluster, spec(2))
    cluster.update(service.id, rolling(UpdateConfig(delay=5 * SECOND, monitor=5 * SECOND), replicas=2))
    for second in range(15):
        cluster.obey()
        for task in cluster.running(service.id):
            cluster.report_status(task.node_id, task.id, replace(task.status, message=f"still here at {second}"))
        if second == 3 and led_by == "a new leader":
            cluster.change_leader()
        cluster.wait(1)
    assert images(cluster, service.id) == ["other"] * 2
    assert state(cluster, service.id) is UpdateState.COMPLETED


def test_UPD_02_a_change_that_no_task_is_made_from_restarts_nothing(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(3))
    before = [task.id for task in cluster.tasks(service.id)]
    cluster.update(service.id, replace(spec(3), labels={"a": "b"}, update=UpdateConfig(parallelism=2)))
    cluster.obey()
    assert [task.id for task in cluster.tasks(service.id)] == before
    assert state(cluster, service.id) is UpdateState.UNKNOWN


def test_UPD_02_other_registry_credentials_restart_nothing_and_are_those_of_later_tasks(cluster: SmallCluster) -> None:
    def with_credentials(text: str) -> ServiceSpec:
        made = spec(2)
        return replace(made, task=replace(made.task, container=replace(made.task.container, registry_auth=text)))

    service = deploy(cluster, with_credentials("old"))
    before = [task.id for task in cluster.tasks(service.id)]
    cluster.update(service.id, with_credentials("new"))
    cluster.obey()
    assert [task.id for task in cluster.tasks(service.id)] == before
    cluster.update(service.id, replace(with_credentials("new"), replicas=3))
    cluster.obey()
    (later,) = [task for task in cluster.tasks(service.id) if task.id not in before]
    assert later.spec.container.registry_auth == "new"


def test_UPD_03_other_constraints_restart_only_tasks_whose_node_does_not_satisfy_them() -> None:
    cluster = SmallCluster()
    for number in range(4):
        cluster.put_node(make_node(f"node-{number}", spec=NodeSpec(labels={"zone": str(number % 2)})))
    service = deploy(cluster, spec(4))
    stay = {task.id for task in cluster.live(service.id) if task.node_id in ("node-0", "node-2")}
    cluster.update(service.id, spec(4, placement=Placement(("node.labels.zone==0",))))
    cluster.obey()
    assert stay < {task.id for task in cluster.live(service.id)}
    assert {task.node_id for task in cluster.live(service.id)} == {"node-0", "node-2"}
    assert outcome(cluster, service.id) is UpdateState.COMPLETED


def test_other_ports_replace_tasks_and_automatic_ones_that_stay_do_not(cluster: SmallCluster) -> None:
    automatic = EndpointSpec(ports=(PortConfig(target_port=80),))
    service = deploy(cluster, replace(spec(2), endpoint=automatic))
    before = [task.id for task in cluster.tasks(service.id)]
    assert cluster.live(service.id)[0].ports[0].published_port >= 30_000
    cluster.update(service.id, replace(spec(2), endpoint=automatic, labels={"a": "b"}))
    cluster.obey()
    assert [task.id for task in cluster.tasks(service.id)] == before
    cluster.update(service.id, replace(spec(2), endpoint=EndpointSpec(ports=(PortConfig(target_port=81),))))
    cluster.obey()
    assert {port.target_port for task in cluster.live(service.id) for port in task.ports} == {81}
    assert outcome(cluster, service.id) is UpdateState.COMPLETED


def test_ports_that_are_described_alike_are_counted(cluster: SmallCluster) -> None:
    web, tls = PortConfig(target_port=80), PortConfig(target_port=443)
    fixed = replace(web, published_port=8080)
    service = cluster.create(replace(spec(1), endpoint=EndpointSpec(ports=(web, tls))))
    for ports in ((web, web), (web, fixed), (fixed, web)):
        cluster.obey()
        before = [task.id for task in cluster.live(service.id)]
        service = cluster.update(service.id, replace(spec(1), endpoint=EndpointSpec(ports=ports)))
        cluster.obey()
        (task,) = cluster.live(service.id)
        assert set(task.ports) == set(service.endpoint.ports)
        assert ([task.id] == before) == (ports == (fixed, web)), "only another order replaces no task"


def test_UPD_04_an_update_that_is_paused_goes_on_when_it_is_asked_to(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(3))
    cluster.update(service.id, rolling(UpdateConfig(), replicas=3))

    def set_status(status: UpdateStatus | None) -> None:
        now = cluster.service(service.id)
        cluster.write(lambda tx: tx.update(replace(now, update_status=status)))
        cluster.settle()

    set_status(UpdateStatus(UpdateState.PAUSED))
    cluster.obey()
    cluster.change_leader()
    cluster.obey()
    assert images(cluster, service.id).count("other") == 1
    set_status(None)
    cluster.obey()
    assert images(cluster, service.id) == ["other"] * 3


def test_UPD_08_stop_first_never_has_two_copies(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(2))
    cluster.update(service.id, rolling(UpdateConfig(), replicas=2))
    while state(cluster, service.id) is UpdateState.UPDATING:
        assert len(cluster.running(service.id)) <= 2
        cluster.obey_once()
    assert images(cluster, service.id) == ["other"] * 2


def test_UPD_08_start_first_stops_the_old_task_once_the_new_one_runs(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(1))
    (old,) = cluster.live(service.id)
    cluster.update(service.id, rolling(UpdateConfig(order=UpdateOrder.START_FIRST), replicas=1))
    assert images(cluster, service.id) == ["busybox", "other"]
    new = cluster.live(service.id)[1]
    cluster.report(new.id, TaskState.STARTING)
    assert cluster.task(old.id).desired_state is TaskState.RUNNING
    cluster.report(new.id, TaskState.RUNNING)
    assert cluster.task(old.id).desired_state is TaskState.SHUTDOWN
    assert outcome(cluster, service.id) is UpdateState.COMPLETED


def test_start_first_keeps_the_old_task_and_tries_again_after_the_restart_delay(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(1))
    config = UpdateConfig(order=UpdateOrder.START_FIRST, failure_action=FailureAction.CONTINUE)
    cluster.update(service.id, rolling(config, replicas=1))
    tries = set()
    for _ in range(12):
        old, *new = cluster.live(service.id)
        assert old.spec.container.image == "busybox"
        tries |= {task.id for task in new}
        for task in new:
            cluster.report(task.id, TaskState.REJECTED)
        cluster.wait(1)
    assert 2 <= len(tries) <= 3


def test_start_first_gives_up_what_an_earlier_update_has_not_brought_to_run(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(1))
    for image in ("second", "third"):
        cluster.update(service.id, rolling(UpdateConfig(order=UpdateOrder.START_FIRST), replicas=1, image=image))
    assert images(cluster, service.id) == ["busybox", "third"]
    cluster.obey()
    assert images(cluster, service.id) == ["third"]


def test_start_first_gives_up_what_waits_to_be_restarted_and_can_be_rolled_back_before_the_new_task_runs(
    cluster: SmallCluster,
) -> None:
    config = UpdateConfig(order=UpdateOrder.START_FIRST)
    service = deploy(cluster, rolling(config, replicas=1, image="busybox", restart=RestartPolicy(delay=30 * SECOND)))
    cluster.report(cluster.running(service.id)[0].id, TaskState.FAILED)
    cluster.update(service.id, rolling(config, replicas=1, restart=RestartPolicy(delay=30 * SECOND)))
    assert images(cluster, service.id) == ["other"]
    cluster.roll_back(service.id)
    for _ in range(60):
        cluster.obey()
        cluster.wait(1)
    assert images(cluster, service.id) == ["busybox"]
    assert state(cluster, service.id) is UpdateState.ROLLBACK_COMPLETED


@pytest.mark.parametrize("led_by", ["the same leader", "a new leader"])
def test_start_first_ends_with_one_task_even_if_the_service_is_scaled_meanwhile(
    cluster: SmallCluster, led_by: str
) -> None:
    service = deploy(cluster, spec(3))
    config = UpdateConfig(parallelism=0, order=UpdateOrder.START_FIRST)
    cluster.update(service.id, rolling(config, replicas=3))
    if led_by == "a new leader":
        cluster.change_leader()
    cluster.update(service.id, rolling(config, replicas=2))
    cluster.obey()
    assert images(cluster, service.id) == ["other"] * 2
    assert outcome(cluster, service.id) is UpdateState.COMPLETED


def test_UPD_09_a_new_update_takes_over_from_the_running_one(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(4))
    cluster.update(service.id, rolling(UpdateConfig(), image="second"))
    cluster.obey_once()
    cluster.update(service.id, rolling(UpdateConfig(), image="third"))
    cluster.obey()
    assert images(cluster, service.id) == ["third"] * 4


def test_a_change_in_the_middle_of_an_update_lets_no_more_slots_move(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(4))
    cluster.update(service.id, rolling(UpdateConfig()))
    cluster.update(service.id, replace(rolling(UpdateConfig()), labels={"a": "b"}))
    assert images(cluster, service.id).count("other") == 1
    cluster.obey()
    assert images(cluster, service.id) == ["other"] * 4


@pytest.mark.parametrize("led_by", ["the same leader", "a new leader"])
def test_a_change_in_the_middle_of_an_update_begins_where_nothing_runs(cluster: SmallCluster, led_by: str) -> None:
    service = deploy(cluster, spec(3))
    cluster.update(service.id, rolling(UpdateConfig(), replicas=3))
    while sum(task.status.state is TaskState.RUNNING for task in cluster.live(service.id) if task.slot == 1) == 0:
        cluster.obey_once()
    assert images(cluster, service.id) == ["other", "other", "busybox"]
    if led_by == "a new leader":
        cluster.change_leader()
    cluster.update(service.id, rolling(UpdateConfig(), replicas=3, image="third"))
    assert images(cluster, service.id) == ["other", "third", "busybox"]


def test_a_new_leader_goes_on_with_an_update(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(4))
    cluster.update(service.id, rolling(UpdateConfig()))
    while state(cluster, service.id) is UpdateState.UPDATING:
        cluster.obey_once()
        cluster.change_leader()
        cluster.settle()
        moving = [task for task in cluster.live(service.id) if task.status.state is not TaskState.RUNNING]
        assert len(moving) <= 1
    assert images(cluster, service.id) == ["other"] * 4


def test_UPD_10_a_slot_with_two_live_tasks_converges_to_one(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(2))
    (task,) = cluster.store.tasks_of_slot(service.id, 1)
    cluster.write(lambda tx: tx.create(replace(task, id="twin")))
    cluster.change_leader()
    cluster.settle()
    cluster.obey()
    assert sorted(task.slot for task in cluster.live(service.id)) == [1, 2]


def test_UPD_12_a_global_service_is_updated_node_by_node_and_a_node_that_is_down_does_not_block_it(
    cluster: SmallCluster,
) -> None:
    service = deploy(cluster, spec(mode=ServiceMode.GLOBAL))
    node = cluster.node("node-1")
    cluster.put_node(replace(node, status=replace(node.status, state=NodeState.DOWN)))
    cluster.update(service.id, spec(mode=ServiceMode.GLOBAL, image="other"))
    assert images(cluster, service.id).count("other") == 1
    cluster.obey("node-1")
    assert images(cluster, service.id) == ["other"] * 2
    assert outcome(cluster, service.id) is UpdateState.COMPLETED


def test_a_rollback_follows_its_own_configuration(cluster: SmallCluster) -> None:
    first = replace(spec(4), rollback=UpdateConfig(parallelism=2))
    service = deploy(cluster, first)
    cluster.update(service.id, rolling(UpdateConfig(), image="second"))
    cluster.obey()
    started = UpdateStatus(UpdateState.ROLLBACK_STARTED, started_at=cluster.now)
    back = cluster.service(service.id)
    back = replace(back, spec=first, spec_version=back.spec_version + 1, update_status=started)
    cluster.write(lambda tx: tx.update(back))
    cluster.settle()
    assert images(cluster, service.id).count("busybox") == 2
    cluster.obey()
    assert images(cluster, service.id) == ["busybox"] * 4
    assert outcome(cluster, service.id) is UpdateState.ROLLBACK_COMPLETED


def test_a_task_that_fails_in_an_update_is_restarted_by_its_policy(cluster: SmallCluster) -> None:
    service = deploy(cluster, spec(2))
    config = UpdateConfig(failure_action=FailureAction.CONTINUE)
    cluster.update(service.id, rolling(config, replicas=2, restart=RestartPolicy(delay=SECOND)))
    _, new = sorted(cluster.live(service.id), key=lambda task: task.spec.container.image)
    assert new.spec.container.image == "other"
    cluster.obey_once()
    cluster.report(new.id, TaskState.FAILED)
    assert len(cluster.live(service.id)) == 2
    assert images(cluster, service.id).count("other") == 1, "nothing else moves before it runs"
    cluster.wait(1)
    cluster.obey()
    assert images(cluster, service.id) == ["other"] * 2


def test_the_cost_of_an_event_does_not_grow_with_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []
    cluster = SmallCluster(nodes=10)
    service = cluster.create(spec(500))
    cluster.obey_all_at_once(service.id)
    cluster.update(service.id, rolling(UpdateConfig(), replicas=500))
    count_calls(monkeypatch, looks)
    (old,) = [task for task in cluster.tasks(service.id) if task.desired_state is TaskState.SHUTDOWN]
    cluster.report(old.id, TaskState.SHUTDOWN)
    assert 0 < len(looks) < 10


def count_calls(monkeypatch: pytest.MonkeyPatch, calls: list[object]) -> None:
    from manager.orchestrator import rollout

    look: Callable[..., None] = rollout.Rollout.look

    def counted(self: rollout.Rollout, *arguments: object) -> None:
        calls.append(arguments)
        look(self, *arguments)

    monkeypatch.setattr(rollout.Rollout, "look", counted)
