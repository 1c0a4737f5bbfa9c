import base64
import calendar
import re
import time

import pytest

from core.clock import SECOND
from core.model import LogLine
from tests.api.replay import Replay, read_transcript
from tests.support.fake_node import FakeNode

NODE_2 = "xsfe3alp8b4n9mwcfpdyuppc3"
FULL = "n3mcatlru0sb3p1kk097k6oom"
S1 = "t65s9itzz22hytewjpqtetq7t"
FRAME = re.compile(
    rb"(?P<stream>[\1\2])\0{6}.(?P<second>[\d:T-]{19})\.(?P<fraction>\d{9})Z "
    rb"com\.docker\.swarm\.node\.id=(?P<node>\w+),"
    rb"com\.docker\.swarm\.service\.id=(?P<service>\w+),com\.docker\.swarm\.task\.id=(?P<task>\w+) (?P<data>.*\n)"
)


@pytest.fixture
async def replay(session) -> Replay:
    return Replay(session)


async def play(replay: Replay, *names: str) -> None:
    for name in names:
        await replay.play(name)


async def form_cluster(replay: Replay, node: FakeNode) -> None:
    await play(replay, "node-ls-noswarm", "swarm-init", "swarm-init-again", "join-token-worker-q", "join-token-rotate")
    await node.cluster.add_node("vm")
    await play(replay, "node-ls", "node-ls-label", "node-inspect-nx", "node-update")


async def change(replay: Replay, path: str, **keys: object) -> None:
    """Updates the object at `path`: its spec as it is, with `keys` replaced."""
    shown = await replay.ask("GET", path)
    await replay.ask("POST", f"{path}/update?version={shown['Version']['Index']}", {**shown["Spec"], **keys})


async def publish(replay: Replay, name: str, port: int) -> None:
    """Makes the service that the transcripts know as FULL."""
    template = {"ContainerSpec": {"Image": "busybox"}}
    spec = {
        "Name": name,
        "TaskTemplate": template,
        "EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": port}]},
    }
    replay.comparator.ours[FULL] = (await replay.ask("POST", "/services/create", spec))["ID"]


async def test_a_manager_answers_about_its_cluster_and_nodes_as_dockerd(replay, node):
    await form_cluster(replay, node)
    await change(replay, f"/nodes/{NODE_2}", Labels={"zone": "a"}, Role="manager")
    await play(
        replay, "node-ps-id", "node-rm-busy", "swarm-update", "swarm-unlock-notlocked", "swarm-ca", "node-demote"
    )


async def test_a_manager_answers_about_services_and_tasks_as_dockerd(replay, node):
    await form_cluster(replay, node)
    await change(replay, f"/nodes/{NODE_2}", Labels={"zone": "a"})
    (create_s0,) = [line for line in read_transcript("svc-minimal-dup") if "create" in line.get("path", "")]
    await replay.ask("POST", "/services/create", create_s0["request"])
    await play(replay, "svc-minimal-dup", "svc-badname", "svc-noimg", "svc-replicated-progress", "svc-global")
    await play(replay, "svc-env-file-quiet", "svc-dnsrr-ingress-bad", "service-ls", "service-ls-filter")
    await play(replay, "service-ps", "service-ps-nx", "service-ps-name", "inspect-type-service")
    node.cluster.lines = recorded_lines(replay)
    await play(replay, "logs-tail", "scale")
    await change(replay, f"/services/{S1}", Mode={"Replicated": {"Replicas": 3}})
    await play(replay, "update", "update-nx", "update-mode", "rm-nx", "rm-many")
    await publish(replay, "full", 8081)
    await play(replay, "svc-portconflict")


async def test_a_manager_says_as_dockerd_what_is_not_there(replay):
    await replay.play("swarm-init")
    await play(replay, "network-inspect-nx", "network-rm-nx", "secret-inspect-nx", "secret-rm-nx", "config-rm-nx")


async def test_a_manager_answers_about_secrets_and_configs_as_dockerd(replay):
    await replay.play("swarm-init")
    await play(replay, "secret-create", "secret-create-dup", "secret-ls", "secret-ls-f", "secret-inspect", "secret-rm")
    await play(replay, "config-create", "config-create-tmpl", "config-ls", "config-inspect")


async def test_a_worker_answers_as_dockerd(replay):
    await play(replay, "swarm-join", "swarm-join-again", "worker-node-ls", "worker-service-ls", "swarm-leave")


def recorded_lines(replay: Replay) -> list[LogLine]:
    """What the recorded tasks had written, as lines of our tasks."""
    (exchange,) = [line for line in read_transcript("logs-tail") if "/logs" in line.get("path", "")]
    recorded = base64.b64decode(exchange["answer"]["b64"])
    ours = replay.comparator.translate(recorded.decode("latin-1")).encode("latin-1")
    return [
        LogLine(
            service_id=match["service"].decode(),
            node_id=match["node"].decode(),
            task_id=match["task"].decode(),
            timestamp=calendar.timegm(time.strptime(match["second"].decode(), "%Y-%m-%dT%H:%M:%S")) * SECOND
            + int(match["fraction"]),
            stderr=match["stream"] == b"\2",
            data=match["data"],
        )
        for match in FRAME.finditer(ours)
    ]
