"""What users are told of tasks that wait, and of services that are not there yet."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.clock import SECOND
from core.errors import AlreadyExists, InvalidArgument, NotFound
from core.model import (
    Availability,
    ContainerSpec,
    Explanation,
    GenericResource,
    LogDriver,
    Node,
    NodeDescription,
    NodeSpec,
    NodeState,
    NodeStatus,
    Placement,
    Platform,
    Plugin,
    PortConfig,
    PublishMode,
    ResourceRequirements,
    Resources,
    RestartCondition,
    RestartPolicy,
    Role,
    Service,
    ServiceMode,
    TaskSpec,
    TaskState,
    TaskStatus,
)
from manager.store import Transaction
from tests.support.control_world import ControlWorld, make_spec

GIB = 1 << 30
NEVER, ONCE = RestartPolicy(condition=RestartCondition.NONE), RestartPolicy(max_attempts=1)


@pytest.fixture
def world() -> ControlWorld:
    return ControlWorld()


async def put(world: ControlWorld, name: str, **fields: object) -> Node:
    """A worker of 4 CPUs and 8 GiB; `fields` of the node, its description's and its spec's among them."""
    description = {
        "hostname": name,
        "platform": Platform("x86_64", "linux"),
        "resources": Resources(4 * 10**9, 8 * GIB),
    }
    for part in ("resources", "plugins", "engine_labels"):
        if part in fields:
            description[part] = fields.pop(part)
    spec = {part: fields.pop(part) for part in ("labels", "availability") if part in fields}
    node = Node(
        id=f"id-{name}",
        spec=NodeSpec(**spec),
        description=NodeDescription(**description),
        **{"status": NodeStatus(NodeState.READY), **fields},
    )
    await world.write(lambda tx: tx.create(node))
    return node


def reserving(cpus: float = 0, memory: int = 0, **generic: int) -> ResourceRequirements:
    kinds = tuple(GenericResource(kind, value=number) for kind, number in generic.items())
    return ResourceRequirements(reservations=Resources(int(cpus * 10**9), memory, kinds))


async def create(world: ControlWorld, **task: object) -> Service:
    return await world.create(task=TaskSpec(container=ContainerSpec(image="nginx"), **task))


def reasons(explanation: Explanation) -> dict[str, list[str]]:
    return {
        node.hostname: [reason for objection in node.objections for reason in objection.reasons]
        for node in explanation.nodes
    }


def wants(*constraints: str) -> Callable[[], dict[str, object]]:
    return lambda: {"placement": Placement(constraints=constraints)}


@pytest.mark.parametrize(
    ("node", "task", "said"),
    [
        ({}, {}, []),
        (
            {"availability": Availability.DRAIN},
            {},
            ["its availability is drain: pyswarm node update --availability active vm"],
        ),
        (
            {"status": NodeStatus(NodeState.DOWN, "heartbeat failure")},
            {},
            ["is down (heartbeat failure): bring it back"],
        ),
        ({}, {"resources": reserving(cpus=6)}, ["needs 2 more CPUs; 4 of 4 free"]),
        ({}, {"resources": reserving(cpus=4.5)}, ["needs 0.5 more CPUs; 4 of 4 free"]),
        ({}, {"resources": reserving(memory=9 * GIB)}, ["needs 1GiB more memory; 8GiB of 8GiB free"]),
        (
            {"resources": Resources(10**9, GIB, (GenericResource("gpu", "A"), GenericResource("gpu", "B")))},
            {"resources": reserving(gpu=3, ssd=1)},
            ["needs 1 more gpu; 2 of 2 free", "needs 1 more ssd; 0 of 0 free"],
        ),
        (
            {"plugins": (Plugin("Log", "json-file"),)},
            {"log_driver": LogDriver("splunk")},
            ["its engine has no log plugin splunk: docker plugin install splunk there"],
        ),
        (
            {"labels": {"zone": "b"}},
            wants("node.labels.zone==a")(),
            ["label zone is b, constraint wants a: pyswarm node update --label-add zone=a vm"],
        ),
        (
            {},
            wants("node.labels.zone==a")(),
            ["label zone is not set, constraint wants a: pyswarm node update --label-add zone=a vm"],
        ),
        (
            {"labels": {"zone": "a"}},
            wants("node.labels.zone!=a")(),
            ["label zone is a, constraint wants anything but a: pyswarm node update --label-rm zone vm"],
        ),
        (
            {"engine_labels": {"disk": "hdd"}},
            wants("engine.labels.disk==ssd")(),
            ["engine label disk is hdd, constraint wants ssd: change the labels in its engine's daemon.json"],
        ),
        ({}, wants("node.role==manager")(), ["node.role is worker, constraint wants manager: pyswarm node promote vm"]),
        ({}, wants("node.hostname==other")(), ["node.hostname is vm, constraint wants other"]),
        ({}, wants("node.ip==10.0.0.0/8")(), ["node.ip is not known, constraint wants 10.0.0.0/8"]),
        (
            {},
            wants("node.rule==manager", "Node.lables.Zone!=a")(),
            [
                "constraint node.rule==manager has a key that nobody knows (did you mean node.role?)",
                "constraint Node.lables.Zone!=a has a key that nobody knows (did you mean node.labels.Zone?)",
            ],
        ),
        (
            {},
            wants("node.colour==red")(),
            [
                "constraint node.colour==red has a key that nobody knows (there are node.id, node.hostname, node.role, "
                "node.ip, node.platform.os, node.platform.arch, node.labels.NAME, engine.labels.NAME)"
            ],
        ),
        (
            {},
            {"placement": Placement(platforms=(Platform("arm64", "linux"),))},
            ["runs linux/amd64, the image is for linux/arm64: use an image that is for both"],
        ),
        (
            {"availability": Availability.PAUSE},
            {"resources": reserving(cpus=5)},
            [
                "its availability is pause: pyswarm node update --availability active vm",
                "needs 1 more CPU; 4 of 4 free",
            ],
        ),
    ],
)
async def test_each_node_says_what_would_change_it(
    world: ControlWorld, node: dict[str, object], task: dict[str, object], said: list[str]
) -> None:
    await put(world, "vm", **node)
    await create(world, **task)
    assert reasons(await world.control.explain_service("web")) == {"vm": said}


async def test_what_tasks_hold_is_not_free(world: ControlWorld) -> None:
    await put(world, "vm", resources=Resources(4 * 10**9, 8 * GIB, (GenericResource("gpu", "A"),)))
    service = await create(world, resources=reserving(cpus=2.5, gpu=1), placement=Placement(max_replicas=1))
    await world.add_task("t1", service, "id-vm")
    explanation = await world.control.explain_service("web")
    assert reasons(explanation)["vm"] == [
        "needs 1 more CPU; 1.5 of 4 free",
        "has 1 of at most 1 task: pyswarm service update --replicas-max-per-node 2 web",
    ]
    assert explanation.nodes[0].tasks == 1


async def test_a_host_port_says_who_holds_it(world: ControlWorld) -> None:
    await put(world, "vm")
    port = PortConfig(target_port=80, published_port=8080, publish_mode=PublishMode.HOST)
    explanation = await world.control.dry_run_service(make_spec(ports=[port], replicas=2))
    (said,) = reasons(explanation)["vm"]
    assert said.startswith("its port 8080/tcp is held by task ")
    assert explanation.nodes[0].planned == 1


async def test_a_suspected_node_is_told_apart(world: ControlWorld) -> None:
    await put(world, "vm")
    await create(world)
    world.suspects.add("id-vm")
    (said,) = reasons(await world.control.explain_service("web"))["vm"]
    assert said.startswith("its connection broke a moment ago")


async def test_a_service_says_how_many_wait_and_why(world: ControlWorld) -> None:
    await put(world, "b")
    await put(world, "a", availability=Availability.DRAIN)
    service = await create(world)
    explanation = await world.control.explain_service("web")
    assert (explanation.waiting, explanation.message) == (0, "no task of web waits for a node")
    assert [node.hostname for node in explanation.nodes] == ["a", "b"]
    await world.add_task("t1", service, "id-b")
    await world.add_task("t2", service, state=TaskState.PENDING, slot=2)
    explanation = await world.control.explain_service(service.id)
    assert explanation.waiting == 1
    assert explanation.message.startswith("1 of 2 tasks of web waits for a node")
    assert explanation.service_id == service.id


async def test_how_many_wait_is_said_in_grammar(world: ControlWorld) -> None:
    service = await create(world)
    said = []
    for slot in (1, 2):
        await world.add_task(f"t{slot}", service, state=TaskState.PENDING, slot=slot)
        said.append((await world.control.explain_service("web")).message.partition(":")[0])
    assert said == ["1 of 1 task of web waits for a node", "2 of 2 tasks of web wait for a node"]


async def test_a_task_that_waits_says_why(world: ControlWorld) -> None:
    await put(world, "a", availability=Availability.PAUSE)
    await put(world, "b")
    service = await create(world)
    await world.add_task("free", service, state=TaskState.PENDING)
    await world.add_task("given", service, "id-a", state=TaskState.PENDING, slot=0)
    await world.add_task("runs", service, "id-b", slot=2)
    assert list(reasons(await world.control.explain_task("free"))) == ["a", "b"]
    given = await world.control.explain_task("given")
    assert list(reasons(given)) == ["a"]
    assert given.waiting == 1
    runs = await world.control.explain_task("runs")
    assert (runs.waiting, runs.message, runs.nodes) == (0, "the task has its node, and is running", ())


async def fail(
    world: ControlWorld, service: Service, name: str, err: str, state: TaskState, node: str = "vm", ahead: int = 0
) -> None:
    """A task of the service, as the node, whose clock is `ahead` (ns), has given up on it."""
    await world.add_task(name, service, f"id-{node}", desired=TaskState.SHUTDOWN)

    def give_up(tx: Transaction) -> None:
        tx.update(replace(tx.task(name), status=TaskStatus(world.clock.now() + ahead, state, "preparing", err)))

    await world.write(give_up)


def failures(explanation: Explanation) -> dict[str, str]:
    return {node.hostname: node.failures for node in explanation.nodes}


@pytest.mark.parametrize(
    ("err", "state", "advice"),
    [
        (
            "image ngnix:1 is not on this node and cannot be pulled: not found",
            TaskState.REJECTED,
            "if the image has another name: pyswarm service update --image NAME web; "
            "if its registry wants a login: pyswarm service update --with-registry-auth web",
        ),
        (
            'invalid mount config for type "bind": bind source path does not exist: /data',
            TaskState.REJECTED,
            "make that path on vm, or keep the tasks away: "
            "pyswarm service update --constraint-add node.hostname!=vm web",
        ),
        (
            "Bind for 0.0.0.0:80 failed: port is already allocated",
            TaskState.FAILED,
            "end what holds the port on vm, or publish another",
        ),
        (
            "this node cannot do what the service asks for",
            TaskState.REJECTED,
            "change what they ask for, or keep the tasks away: "
            "pyswarm service update --constraint-add node.hostname!=vm web",
        ),
        ("task: non-zero exit (1)", TaskState.FAILED, "pyswarm service logs web shows what they said"),
    ],
)
async def test_a_node_says_why_tasks_fail_there_and_what_would_change_it(
    world: ControlWorld, err: str, state: TaskState, advice: str
) -> None:
    await put(world, "vm")
    service = await create(world)
    await fail(world, service, "t1", err, state)
    found = f"1 task {state.name.lower()} in the last 1s: {err}"
    explanation = await world.control.explain_service("web")
    assert failures(explanation) == {"vm": f"{found}: {advice}"}
    assert explanation.message == f"no task of web waits for a node; {found}"
    said = (await world.control.explain_task("t1")).message
    assert said == f"the task has its node, and is {state.name.lower()}: {err}: {advice}"


@pytest.mark.parametrize(
    ("restart", "state", "ends", "tells"),
    [
        (RestartPolicy(), TaskState.FAILED, 1, False),
        (NEVER, TaskState.FAILED, 1, True),
        (NEVER, TaskState.SHUTDOWN, 1, False),
        (ONCE, TaskState.FAILED, 1, False),
        (ONCE, TaskState.FAILED, 2, True),
    ],
)
async def test_a_service_whose_tasks_ended_for_good_says_so(
    world: ControlWorld, restart: RestartPolicy, state: TaskState, ends: int, tells: bool
) -> None:
    await put(world, "vm")
    service = await create(world, restart=restart)
    for number in range(ends):
        await fail(world, service, f"t{number}", "task: non-zero exit (1)", state)
    said = (await world.control.explain_service("web")).message
    ending = "; 1 task ended for good, as the restart policy says: pyswarm service update --force web starts anew"
    assert said.endswith(ending) == tells


async def test_only_what_failed_lately_and_of_the_present_spec_counts(world: ControlWorld) -> None:
    await put(world, "vm")
    await put(world, "vm2")
    service = await create(world)
    await fail(world, service, "t1", "the first", TaskState.FAILED)
    world.clock.advance(290 * SECOND)
    await fail(world, service, "t2", "the second", TaskState.FAILED)
    await fail(world, service, "t3", "another", TaskState.REJECTED, "vm2")
    await world.add_task("t4", service, "id-vm2")
    said = failures(await world.control.explain_service("web"))
    assert said["vm"].startswith("2 tasks failed in the last 4m50s: the second: ")
    assert said["vm2"].startswith("1 task rejected in the last 1s: another: ")
    world.clock.advance(10 * SECOND)
    said = failures(await world.control.explain_service("web"))
    assert said["vm"].startswith("1 task failed in the last 10s: the second: ")
    await world.change(service, replicas=2)
    assert failures(await world.control.explain_service("web")) == said, "its tasks are to be as before"
    await world.change(service, task=TaskSpec(container=ContainerSpec(image="nginx:2")))
    explanation = await world.control.explain_service("web")
    assert failures(explanation) == {"vm": "", "vm2": ""}
    assert explanation.message == "no task of web waits for a node"


async def test_a_failure_is_as_old_as_the_tasks_last_status_whatever_is_written_later(world: ControlWorld) -> None:
    await put(world, "vm")
    service = await create(world)
    await fail(world, service, "old", "the first", TaskState.REJECTED)
    world.clock.advance(3600 * SECOND)
    await fail(world, service, "young", "the second", TaskState.REJECTED)
    world.clock.advance(20 * SECOND)
    for name in ("old", "young"):
        await world.write(lambda tx, name=name: tx.update(replace(tx.task(name), desired_state=TaskState.REMOVE)))
    world.clock.advance(5 * SECOND)
    said = failures(await world.control.explain_service("web"))
    assert said["vm"].startswith("1 task rejected in the last 25s: the second: ")


async def test_a_failure_is_no_younger_than_what_is_written_of_it_where_a_nodes_clock_is_ahead(
    world: ControlWorld,
) -> None:
    await put(world, "vm")
    service = await create(world)
    await fail(world, service, "t1", "the first", TaskState.FAILED, ahead=3600 * SECOND)
    world.clock.advance(10 * SECOND)
    said = failures(await world.control.explain_service("web"))
    assert said["vm"].startswith("1 task failed in the last 10s: the first: ")
    world.clock.advance(290 * SECOND)
    assert failures(await world.control.explain_service("web")) == {"vm": ""}


async def test_tasks_that_ended_in_different_ways_are_not_told_as_one(world: ControlWorld) -> None:
    await put(world, "vm")
    service = await create(world)
    await fail(world, service, "t1", "the first", TaskState.FAILED)
    await fail(world, service, "t2", "the second", TaskState.REJECTED)
    said = failures(await world.control.explain_service("web"))
    assert said["vm"].startswith("2 tasks failed or rejected in the last 1s: the second: ")


async def test_what_is_not_there_cannot_be_explained(world: ControlWorld) -> None:
    with pytest.raises(NotFound):
        await world.control.explain_service("nothing")
    with pytest.raises(NotFound):
        await world.control.explain_task("nothing")


@pytest.mark.parametrize(
    ("fields", "planned", "waiting"),
    [
        ({"replicas": 4}, {"a": 2, "b": 2, "paused": 0}, 0),
        ({"mode": ServiceMode.GLOBAL}, {"a": 1, "b": 1, "paused": 0}, 0),
        ({"mode": ServiceMode.REPLICATED_JOB, "total_completions": 5, "max_concurrent": 3}, {"a": 2, "b": 1}, 0),
        ({"replicas": 9, "task": reserving(cpus=1)}, {"a": 4, "b": 4, "paused": 0}, 1),
    ],
)
async def test_a_dry_run_says_where_tasks_would_go_and_changes_nothing(
    world: ControlWorld, fields: dict[str, object], planned: dict[str, int], waiting: int
) -> None:
    for name in ("a", "b"):
        await put(world, name)
    await put(world, "paused", availability=Availability.PAUSE)
    if "task" in fields:
        fields = {**fields, "task": TaskSpec(container=ContainerSpec(image="nginx"), resources=fields["task"])}
    before = world.store.index
    explanation = await world.control.dry_run_service(make_spec(**fields))
    assert {node.hostname: node.planned for node in explanation.nodes}.items() >= planned.items()
    assert sum(node.planned for node in explanation.nodes) == sum(planned.values())
    assert explanation.waiting == waiting
    assert ("would wait for a node: no suitable node" in explanation.message) is bool(waiting)
    assert world.store.index == before
    assert list(world.store.services()) == []
    assert list(world.store.tasks()) == []


async def test_a_dry_run_is_refused_as_the_service_would_be(world: ControlWorld) -> None:
    await world.create("web")
    with pytest.raises(AlreadyExists):
        await world.control.dry_run_service(make_spec("web"))
    with pytest.raises(InvalidArgument):
        await world.control.dry_run_service(make_spec("no name"))


async def test_a_dry_run_does_not_touch_what_is_there(world: ControlWorld) -> None:
    await world.add_node("m", Role.MANAGER)
    service = await world.create("web")
    await world.add_task("t1", service, state=TaskState.PENDING)
    explanation = await world.control.dry_run_service(make_spec("other"))
    assert explanation.nodes[0].planned == 1
    task = world.store.task("t1")
    assert task is not None
    assert task.node_id == ""
