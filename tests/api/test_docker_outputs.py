"""The docker command, given the recorded command lines, says what it said and ends as it ended: ids and times aside."""

import re
import shlex
from base64 import b64decode

import pytest

from tests.api.replay import read_transcript
from tests.support.docker_cli import DockerCli, Result
from tests.support.fake_node import FakeNode

_ID = re.compile(r"\b[a-z0-9]{25}\b")
_SAME = [
    (re.compile(r"SWMTKN-1-\w{50}-\w{25}"), "TOKEN"),
    (re.compile(r"SWMKEY-1-[\w+/]{43}"), "KEY"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( \+0000 utc|Z)"), "TIME"),
    (re.compile(r"(Less than a second|About an? \w+|\d+ \w+) ago"), "AGO"),
    (re.compile(r"^(overall progress|verify): (?!.*converged).*\n", re.MULTILINE), ""),
    (re.compile(r" +"), " "),
]
"""What differs from one run to the next, or tells how far a command has come, and what stands in its place."""


class Story:
    """Commands as they were recorded, one after the other; what they name is what ours is called."""

    def __init__(self, docker: DockerCli, node: FakeNode) -> None:
        self._docker = docker
        self._node = node
        self._recorded: set[str] = set()
        self._ours: set[str] = set()
        self.names: dict[str, str] = {}
        """Recorded ids that are given as arguments -> ours."""

    async def tell(self, *names: str) -> None:
        for name in names:
            await self._run(name)

    async def _run(self, name: str) -> None:
        recorded, *exchanges = read_transcript(name)
        self._recorded |= set(_ID.findall(str(exchanges)))
        data = next(
            (exchange["request"]["Data"] for exchange in exchanges if "Data" in exchange.get("request", "")), ""
        )
        said = await self._docker.run(*self._words(recorded["command"]), stdin=b64decode(data).decode())
        self._compare(said, Result(recorded["exit"], recorded["stdout"], recorded["stderr"]), name)

    async def hear(self, command: str, stdout: str, stderr: str = "") -> None:
        """A command that succeeded, of which only the words were kept."""
        self._compare(await self._docker.run(*self._words(command)), Result(0, stdout, stderr), command)

    def _words(self, command: str) -> list[str]:
        return [self.names.get(word, word) for word in shlex.split(command)[1:]]

    def _compare(self, said: Result, recorded: Result, name: str) -> None:
        self._remember()
        assert self._plain(said.stdout, self._ours) == self._plain(recorded.stdout, self._recorded), name
        assert self._plain(said.stderr, self._ours) == self._plain(recorded.stderr, self._recorded), name
        assert said.exit == recorded.exit, name

    def _remember(self) -> None:
        cluster = self._node.cluster
        if cluster is not None:
            store = cluster.store
            self._ours |= {*cluster.nodes, *cluster.services, *cluster.tasks}
            self._ours |= {item.id for item in (*store.secrets(), *store.configs())}

    def _plain(self, text: str, ids: set[str]) -> list[str]:
        for pattern, word in _SAME:
            text = pattern.sub(word, text)
        for item_id in ids:
            text = text.replace(item_id, "ID").replace(item_id[:12], "ID")
        text = _ID.sub("ID", text)
        return [line.strip() for line in text.splitlines()]


@pytest.fixture
def story(docker: DockerCli, node: FakeNode) -> Story:
    return Story(docker, node)


NODE_2 = "xsfe3alp8b4n9mwcfpdyuppc3"
UNRESOLVED = """image busybox:latest could not be accessed on a registry to record
its digest. Each node will access busybox:latest independently,
possibly leading to different nodes running different
versions of the image.

"""


async def form_cluster(story: Story, node: FakeNode) -> None:
    await story.tell("node-ls-noswarm", "swarm-init", "swarm-init-again")
    await story.tell("join-token-worker-q", "join-token-manager", "join-token-rotate")
    story.names[NODE_2] = (await node.cluster.add_node("vm")).id


async def test_the_cluster_and_its_nodes(story, node, docker):
    await form_cluster(story, node)
    await story.tell("node-ls", "node-ls-q", "node-ls-fmt", "node-ls-label", "node-inspect-nx", "node-update")
    await story.tell("node-ps", "node-ps-id", "swarm-update", "swarm-unlock-notlocked")
    await docker("swarm", "update", "--autolock")
    await story.tell("swarm-unlock-key", "swarm-unlock-key-q")


async def test_secrets_and_configs(story):
    await story.tell("swarm-init", "secret-create", "secret-create-dup", "secret-ls", "secret-ls-f")
    await story.tell("secret-inspect-pretty", "secret-inspect-nx", "secret-rm-nx")
    await story.tell("config-create", "config-create-tmpl", "config-ls", "config-inspect-pretty", "config-rm-nx")


async def test_services_and_tasks_waited_for_or_not(story, node, docker):
    await form_cluster(story, node)
    await docker("service", "create", "--detach", "--name", "s0", "busybox", "sleep", "1000")
    await story.tell("svc-minimal-dup", "svc-noimg", "svc-replicated-progress", "svc-global", "svc-generic")
    await story.tell("svc-env-file-quiet", "svc-health-none", "svc-dnsrr-ingress-bad", "service-ls-filter")
    await story.tell("service-ps", "ps-q", "service-ps-nx", "service-ps-name", "scale")
    scaled = "s1 scaled to 3\ns0 scaled to 2\n1/3:\n2/3:\n3/3:\nverify: Service s1 converged\n1/2:\n2/2:\n"
    await story.hear("docker service scale s1=3 s0=2", scaled + "verify: Service s0 converged\n")
    await story.tell("update")
    # Our agents have changed over before docker looks for the first time: there is no progress to show.
    forced = "docker service update --image busybox:latest --update-delay 0s --update-monitor 1s --force s1"
    await story.hear(forced, "s1\n", UNRESOLVED)
    await story.tell("rollback-detach")
    await story.hear(
        "docker service rollback s1",
        "s1\n1/3:\n2/3:\n3/3:\nverify: Service s1 converged\nrollback: rollback completed\n",
    )
    await story.hear("docker service update --rollback --detach s1", "s1\n")
    await story.tell("rollback-none", "update-nx", "update-mode", "rm-nx", "rm-many")


async def test_a_job_that_is_waited_for(story):
    await story.tell("swarm-init", "gjob")


async def test_stacks_that_are_not_there(story):
    await story.tell("swarm-init")
    for verb in ("services", "rm"):
        await story.hear(f"docker stack {verb} nosuch", "", "Nothing found in stack: nosuch\n")


async def test_a_worker(story):
    await story.tell("swarm-join", "swarm-join-again", "worker-node-ls", "worker-service-ls")
