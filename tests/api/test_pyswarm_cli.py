"""Our command beside Docker's on the same server: what they print, how they exit, and what they make of their flags."""

import re

import pytest

from core.model import LogLine
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
    service update -d --replicas 3 agent
    service create -d --name web busybox
    service create -d --name bad/name busybox
    service create -d --constraint foo busybox
    service create -d --name pc --publish 8080:80 busybox
    service create --limit-memory
    swarm init
    swarm join-token worker
    swarm join-token -q manager
    swarm update --dispatcher-heartbeat 3s
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
    "service create -d --mode global --replicas 2 busybox": "there are no jobs yet that could have replicas as well",
    "service update -d --args a'b web": ADVICE,
    "service logs --since foo web": ADVICE,
    "swarm join-token foo": ADVICE,
    "swarm join": "ours is `pyswarm swarm join` and `pyswarm join`",
}
"""Of these the exit codes are the same and both or neither print an answer; the words differ, for the reason given."""


@pytest.fixture
async def cluster(node: FakeNode, docker: DockerCli) -> MemoryCluster:
    """A manager `vm`, a worker `vm2`, the services `web` and `agent`, and what their containers said."""
    await docker("swarm", "init", "--advertise-addr", "10.231.0.1")
    await node.cluster.add_node("vm2")
    flags = ("--replicas", "2", "--publish", "8080:80", "--env", "A=1", "--limit-memory", "64m", "--label", "a=b")
    await docker("service", "create", "-d", "--name", "web", *flags, "busybox", "sleep", "1000")
    await docker("service", "create", "-d", "--name", "agent", "--mode", "global", "busybox")
    node.cluster.lines = [
        LogLine(task.service_id, task.node_id, task.id, START, is_stderr, b"hello\n")
        for task in node.cluster.tasks.values()
        for is_stderr in (False, True)
    ]
    return node.cluster


@pytest.fixture
def pyswarm(socket_path) -> PyswarmCli:
    return PyswarmCli(socket_path)


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
