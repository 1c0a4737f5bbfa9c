"""Our command beside Docker's on the same server: what they print, how they exit, and what they make of their flags."""

import re
from dataclasses import replace

import pytest

from core.model import LogLine, PortConfig, PublishMode, TaskState
from manager.store import Transaction
from tests.support.docker_cli import DockerCli, Result
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import START, MemoryCluster
from tests.support.pyswarm_cli import PyswarmCli

pytestmark = pytest.mark.usefixtures("cluster")

SAME = """
    node ls
    node ls -q
    node list
    node ls --format json
    node ls --format raw
    node ls --format {{.ID}}|{{.Self}}|{{json|.Hostname}}
    node ls --format table|{{.Hostname}}\\t{{.Self}}\\t{{.TLSStatus}}
    node ls --filter role=worker --filter name=vm2
    node ls --filter node.label=a=b --filter label=x
    node ls --filter foo=bar
    node ls --filter role=foo
    node ls --filter membership=foo
    node inspect self
    node inspect self vm2 nosuch
    node inspect --pretty self
    node inspect --pretty vm2
    node inspect nosuch
    node inspect --format {{.Spec.Role}}|{{.Status.Addr}}|{{.Spec.Labels.none}} self vm2
    node inspect -f {{range|$k,$v:=.Description.Engine.Plugins}}{{$k}}={{$v.Name}}{{end}} self
    node ps
    node ps vm2
    node ps nosuch
    node ps nosuch vm2
    node ps -q
    node ps -q --no-trunc
    node ps --filter desired-state=running --no-trunc self
    node update vm2
    node update --label-rm x vm2
    node update --label-add a=b --label-add c vm2
    node update --role manager vm2
    node promote vm
    node demote vm2
    node rm nosuch vm9
    service ls
    service ls -q
    service ls --format json
    service ls --format raw
    service ls --format {{.Name}}|{{.Ports}}
    service ls --format table|{{upper|.Name}}\\t{{truncate|.ID|3}}\\t{{json|.Name}}\\t{{pad|.Name|2|2}}
    service ls --filter name=web --filter mode=replicated
    service ls --filter name=nope
    service ls --filter foo=bar
    service ls --filter name
    service ls -x
    service ls extra
    service inspect web
    service inspect --format json web
    service inspect --pretty web
    service inspect --pretty agent
    service inspect --format {{json|.Endpoint.Ports}} web
    service inspect --format {{.Endpoint.VirtualIPs}} web
    service inspect --pretty --format x web
    service inspect nosuch
    service inspect web nosuch -f {{.Spec.Name}}
    service inspect web -f {{.CreatedAt}}|{{.Spec.TaskTemplate.ContainerSpec.StopGracePeriod}}|{{.UpdateStatus}}
    service inspect web -f {{json|.Spec.Mode}}
    service ps web
    service ps agent
    service ps web agent nosuch
    service ps nosuch
    service ps -q web
    service ps --no-trunc --no-resolve web
    service ps --filter node=self --filter desired-state=running web
    service ps --format json web
    service ps --format raw web
    service logs web
    service logs -n 1 web
    service logs -n=1 web
    service logs --timestamps --no-task-ids web
    service logs --details web
    service logs --raw web
    service logs --raw --details web
    service logs --no-trunc --no-resolve web
    service logs --since 2020-01-01 --tail=5 agent
    service logs --tail foo web
    service logs nosuch
    service scale -d=true web=2
    service scale --detach=true web=2 nosuch=3
    service scale -d agent=2
    service rm nosuch web9
    service rollback -d web
    service update
    service update --detach=false nosuch
    service update -d --rollback --force web
    service update -d --publish-rm 82 --publish-add 90:90 web
    service update -d --env-rm A --constraint-add node.role==manager --mount-rm /t web
    service create -d --mode global --replicas 2 busybox
    service create -d --name web busybox
    service create -d --name bad/name busybox
    service create -d --constraint foo busybox
    service create -d --name x --publish 80:80/udp busybox
    service create -d --name x --limit-memory 1 busybox
    service create -d --name pc --publish 8080:80 busybox
    service create --limit-memory
    swarm init
    swarm join-token worker
    swarm join-token -q manager
    swarm update --dispatcher-heartbeat 3s
    swarm update --dispatcher-heartbeat 0s
    swarm update --cert-expiry 30m
    swarm leave
""".strip().splitlines()

ADVICE = "ours says what to write"
DIFFERENT = {
    "service ls --foo": "ours names the flag that may have been meant",
    "service ls --format {{.Foo}}": "the part of Go's message that is about Go",
    "service inspect web -f {{.Foo": "the part of Go's message that is about Go",
    "service inspect web -f {{.UpdateStatus.State}}": "the part of Go's message that is about Go; and its empty line",
    "service inspect --pretty web nosuch": "Docker's shows none of them if one is missing",
    "node ps self vm2": "Docker's adds up the filters of the nodes, so it lists the tasks of the first ones again",
    "service ps": "Docker's says both `See` and `Run`",
    "node inspect": "Docker's says both `See` and `Run`",
    "node foo": "a group takes flags too: its usage says so",
    "service update -d --replicas 3 agent": "Docker's forgets here that jobs have replicas too",
    "service scale web": ADVICE,
    "service scale -d web=x": ADVICE,
    "service create --limit-memory x busybox": ADVICE,
    "service create --reserve-cpu x busybox": ADVICE,
    "service create --restart-delay x busybox": ADVICE,
    "service create --replicas -1 busybox": ADVICE,
    "service create --publish a:b busybox": ADVICE,
    "service create --publish 127.0.0.1:80:80 busybox": ADVICE,
    "service create --mount foo busybox": ADVICE,
    "service create --mount type=bind busybox": ADVICE,
    "service create --label =x busybox": ADVICE,
    "service create --env =x busybox": ADVICE,
    "service create -d --mode foo busybox": ADVICE,
    "service create -d --restart-condition foo busybox": ADVICE,
    "service create -d --update-order foo busybox": ADVICE,
    "service create --restart-max-attempts -1 busybox": ADVICE,
    "service create --stop-grace-period 5 busybox": ADVICE,
    "service create --publish published=80,target=80,mode=foo busybox": ADVICE,
    "service create --publish published=80,target=80,foo=bar busybox": ADVICE,
    "node update --availability foo vm2": ADVICE,
    "node update --role foo vm2": ADVICE,
    "swarm init --availability foo": ADVICE,
    "swarm update --task-history-limit x": ADVICE,
    "--version": "each its own",
    "service update -d --args a'b web": ADVICE,
    "service logs --since foo web": ADVICE,
    "swarm join-token foo": ADVICE,
    "swarm join": "ours is `pyswarm swarm join` and `pyswarm join`",
}
"""Of these the exit codes are the same and both or neither print an answer; the words differ, for the reason given."""

EVERYTHING = """
    --publish 8080-8081:80-81 --publish 9000:9 --publish 9001:9 --publish mode=host,published=82,target=82
    --env A=1 --env B=2 --label x=y --label a=b --container-label c=d --hostname h --user 1:2 --workdir /w
    --entrypoint sh --stop-signal SIGINT --stop-grace-period 7s --limit-memory 64m --limit-cpu .5 --reserve-memory 10m
    --reserve-cpu .1 --mount type=bind,source=/tmp,target=/h,readonly --mount type=tmpfs,target=/t
    --mount type=volume,source=v,target=/v --constraint node.role!=x --constraint node.labels.q!=1
    --restart-condition on-failure --restart-delay 3s --restart-max-attempts 4 --restart-window 9s
    --update-parallelism 2 --update-delay 90s --update-order start-first --replicas 2
"""


@pytest.fixture
async def cluster(node: FakeNode, docker: DockerCli) -> MemoryCluster:
    """A manager `vm`, a worker `vm2`, the services `web` and `agent`, and what their containers said.

    `web` has everything a service can have, and one of its tasks failed.
    """
    await docker("swarm", "init", "--advertise-addr", "10.231.0.1")
    node.cluster.make_ages_steady()
    await node.cluster.add_node("vm2")
    await docker("service", "create", "-d", "--name", "web", *EVERYTHING.split(), "busybox", "sleep", "1000")
    await docker("service", "create", "-d", "--name", "agent", "--mode", "global", "busybox")
    await node.cluster.write(_report_port_and_failure)
    node.cluster.lines = [
        LogLine(task.service_id, task.node_id, task.id, START, is_stderr, b"hello\n")
        for task in node.cluster.tasks.values()
        for is_stderr in (False, True)
    ]
    return node.cluster


@pytest.fixture
def pyswarm(socket_path) -> PyswarmCli:
    return PyswarmCli(socket_path)


def _report_port_and_failure(tx: Transaction) -> None:
    """As the agents of the first service's two tasks would."""
    service = next(service for service in tx.services() if service.spec.name == "web")
    first, second = sorted(tx.tasks_of_service(service.id), key=lambda task: task.slot)
    published = (PortConfig(target_port=82, published_port=82, publish_mode=PublishMode.HOST),)
    tx.update(replace(first, status=replace(first.status, ports=published)))
    failed = replace(second.status, state=TaskState.FAILED, err="task: non-zero exit (1): and why, at some length")
    tx.update(replace(second, status=failed))


def words(line: str) -> list[str]:
    """The arguments of `line`, in which `|` stands for a blank."""
    return [word.replace("|", " ") for word in line.split()]


def in_our_words(text: str) -> str:
    """What Docker's command says, as ours would: with its own name."""
    text = text.replace("docker swarm join", "pyswarm join").replace("`docker ", "`pyswarm ")
    text = re.sub(r"(?<=[' ])docker(?=[ :])", "pyswarm", re.sub(r"^docker", "pyswarm", text))
    return text.replace('"pyswarm swarm', '"docker swarm')


@pytest.mark.parametrize("line", [line.strip() for line in SAME])
async def test_both_print_and_exit_the_same(docker, pyswarm, line):
    theirs, ours = await docker.run(*words(line)), await pyswarm.run(*words(line))
    assert ours == Result(theirs.exit, in_our_words(theirs.stdout), in_our_words(theirs.stderr))


@pytest.mark.parametrize("line", DIFFERENT)
async def test_where_words_differ_the_exit_code_does_not(docker, pyswarm, line):
    theirs, ours = await docker.run(*words(line)), await pyswarm.run(*words(line))
    assert ours.exit == theirs.exit
    assert (ours.stdout, ours.stderr) != (in_our_words(theirs.stdout), in_our_words(theirs.stderr)), "no longer differs"
    assert bool(ours.stderr) == bool(theirs.stderr)


async def test_what_the_answer_orders_is_ordered_as_dockers(docker, pyswarm):
    """Docker's command writes JSON through its own types: maps by their keys, fields as they stand in Go."""
    labels = ("--label", "z=1", "--label", "b=2", "--container-label", "y=1", "--container-label", "a=2")
    await pyswarm("service", "create", "-d", "--name", "first", *labels, "--stop-signal", "SIGINT", "busybox")
    await pyswarm("service", "update", "-d", "--label-add", "a=3", "first")
    await docker("service", "create", "-d", "--name", "second", "--init", "--stop-signal", "SIGINT", "busybox")
    for name in ("first", "second"):
        assert (await pyswarm("service", "inspect", name)) == (await docker("service", "inspect", name))


async def test_info_shows_the_cluster_as_docker_does(docker, pyswarm):
    await pyswarm("update", "--dispatcher-heartbeat", "2s", "--cert-expiry", "48h", "--task-history-limit", "3")
    ours, theirs = (await pyswarm("info")).lines, iter((await docker("info")).lines)
    assert "Heartbeat Period: 2 seconds" in ours
    assert ours[1:] == [line for line in theirs if line in ours[1:]], "in Docker's words and order"
    await pyswarm("update", "--dispatcher-heartbeat", "1500ms")
    assert "Heartbeat Period: 1.5s" in (await pyswarm("info")).lines
