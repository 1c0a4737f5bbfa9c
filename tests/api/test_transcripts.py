import base64
import calendar
import json
import re
import time
from pathlib import Path

import pytest

from core.clock import SECOND
from core.model import LogLine
from tests.api.replay import Replay, read_transcript
from tests.support.fake_node import FakeNode

NODE_2 = "xsfe3alp8b4n9mwcfpdyuppc3"
FULL = "n3mcatlru0sb3p1kk097k6oom"
S1 = "t65s9itzz22hytewjpqtetq7t"
S1_TASK = "obvdl9uinwem1dny67gopakwg"
FRAME = re.compile(
    rb"(?P<stream>[\1\2])\0{6}.((?P<second>[\d:T-]{19})\.(?P<fraction>\d{9})Z )?"
    rb"(com\.docker\.swarm\.node\.id=(?P<node>\w+),"
    rb"com\.docker\.swarm\.service\.id=(?P<service>\w+),com\.docker\.swarm\.task\.id=(?P<task>\w+) )?(?P<data>.*\n)"
)


@pytest.fixture
async def replay(session) -> Replay:
    return Replay(session)


async def play(replay: Replay, *names: str) -> None:
    for name in names:
        await replay.play(name)


async def form_cluster(replay: Replay, node: FakeNode) -> None:
    await play(replay, "info-noswarm", "node-ls-noswarm", "swarm-init", "swarm-init-again")
    await play(replay, "join-token-worker-q", "join-token-manager", "join-token-rotate")
    await node.cluster.add_node("vm")
    await play(replay, "info", "info-fmt", "node-ls", "node-ls-q", "node-ls-fmt", "node-ls-label")
    await play(replay, "node-inspect-self", "node-inspect-pretty", "node-inspect-nx", "node-update")


async def change(replay: Replay, path: str, **keys: object) -> None:
    """Updates the object at `path`: its spec as it is, with `keys` replaced."""
    shown = await replay.ask("GET", path)
    await replay.ask("POST", f"{path}/update?version={shown['Version']['Index']}", {**shown["Spec"], **keys})


async def rotate_root(replay: Replay) -> None:
    config = (await replay.ask("GET", "/swarm"))["Spec"]["CAConfig"]
    await change(replay, "/swarm", CAConfig={**config, "ForceRotate": config.get("ForceRotate", 0) + 1})


async def run_anew(replay: Replay, path: str) -> None:
    """What `update --image busybox:latest --update-delay 0s --update-monitor 1s --force` does."""
    template = (await replay.ask("GET", path))["Spec"]["TaskTemplate"]
    update = {"Parallelism": 1, "FailureAction": "pause", "Monitor": SECOND, "Order": "stop-first"}
    await change(replay, path, TaskTemplate={**template, "ForceUpdate": 1}, UpdateConfig=update)


async def publish(replay: Replay, name: str, port: int) -> None:
    """Makes the service that the transcripts know as FULL."""
    replay.comparator.ours[FULL] = await create(
        replay, name, EndpointSpec={"Ports": [{"TargetPort": 80, "PublishedPort": port}]}
    )


async def create_s0(replay: Replay) -> str:
    """The service that is there when it is to be made a second time."""
    (exchange,) = [line for line in read_transcript("svc-minimal-dup") if "create" in line.get("path", "")]
    return str((await replay.ask("POST", "/services/create", exchange["request"]))["ID"])


async def create(replay: Replay, name: str, **keys: object) -> str:
    """The id of a service of which only its name is recorded."""
    spec = {"Name": name, "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}}, **keys}
    return str((await replay.ask("POST", "/services/create", spec))["ID"])


async def test_a_manager_answers_about_its_cluster_and_nodes_as_dockerd(replay, node):
    await form_cluster(replay, node)
    await play(replay, "node-ps")
    await change(replay, f"/nodes/{NODE_2}", Labels={"zone": "a"}, Role="manager")
    await play(replay, "node-ps-id", "node-rm-busy", "swarm-update")
    await change(replay, "/swarm", EncryptionConfig={"AutoLockManagers": True})
    await play(replay, "swarm-unlock-key", "swarm-unlock-key-q")
    await change(replay, "/swarm", EncryptionConfig={"AutoLockManagers": False})
    await play(replay, "swarm-unlock-notlocked", "swarm-ca", "node-rm-f", "node-demote")
    await rotate_root(replay)
    await play(replay, "swarm-ca-rotate-d")
    await rotate_root(replay)
    await play(replay, "tok", "node-rm")


async def test_a_manager_answers_about_services_and_tasks_as_dockerd(replay, node):
    await form_cluster(replay, node)
    await change(replay, f"/nodes/{NODE_2}", Labels={"zone": "a"})
    s0 = await create_s0(replay)
    await play(replay, "svc-minimal-dup", "svc-badname", "svc-noimg", "svc-replicated-progress", "svc-global")
    await play(replay, "svc-generic", "svc-env-file-quiet", "svc-health-none", "svc-dnsrr-ingress-bad")
    await play(replay, "service-ls", "service-ls-q", "service-ls-fmt", "service-ls-filter")
    await play(replay, "service-ps", "ps-q", "service-ps-nx", "service-ps-name", "inspect-type-service")
    for name in ("logs", "logs-tail", "logs-task", "logs-follow", "logs-details"):
        node.cluster.lines = recorded_lines(replay, name, replay.comparator.ours[S1_TASK])
        await play(replay, name)
    await play(replay, "scale")
    await change(replay, f"/services/{S1}", Mode={"Replicated": {"Replicas": 3}})
    await play(replay, "update", "update-nx", "update-mode")
    await run_anew(replay, f"/services/{S1}")
    await play(replay, "rollback-detach")
    await change(replay, f"/services/{s0}", Mode={"Replicated": {"Replicas": 2}})
    await play(replay, "rollback-none", "rm-nx", "rm-many")
    await publish(replay, "full", 8081)
    await play(replay, "svc-portconflict")
    for name in ("j1", "gj1", "rr"):
        await create(replay, name)
    await play(replay, "rm", "secret-create", "secret-rm-inuse")


async def test_a_manager_runs_a_global_job_as_dockerd(replay):
    await replay.play("swarm-init")
    await play(replay, "gjob", "job-ls")
    await create(replay, "j2")
    await play(replay, "job-rm")


async def test_a_manager_says_as_dockerd_what_is_not_there(replay):
    await replay.play("swarm-init")
    await play(replay, "network-inspect-nx", "network-rm-nx", "secret-inspect-nx", "secret-rm-nx", "config-rm-nx")


async def test_a_manager_answers_about_secrets_and_configs_as_dockerd(replay):
    await replay.play("swarm-init")
    await play(replay, "secret-create", "secret-create-dup", "secret-ls", "secret-ls-f", "secret-inspect")
    await play(replay, "secret-inspect-pretty", "secret-rm")
    await play(replay, "config-create", "config-create-tmpl", "config-ls", "config-inspect", "config-inspect-pretty")


async def test_a_worker_answers_as_dockerd(replay):
    await play(replay, "swarm-join", "swarm-join-again", "worker-node-ls", "worker-service-ls", "worker-info")
    await play(replay, "swarm-leave")


async def test_events_have_the_form_of_dockerds(replay, session, node, after_the_cluster):
    """What happened then cannot happen again; what is told of it, key by key, can."""
    await form_cluster(replay, node)
    await play(replay, "secret-create")
    service = await create(replay, "web")
    await change(replay, f"/services/{service}", Mode={"Replicated": {"Replicas": 2}})
    await change(replay, f"/services/{service}", Labels={"l": "1"})
    await change(replay, f"/nodes/{NODE_2}", Availability="drain")
    await replay.ask("DELETE", f"/services/{service}")
    (exchange,) = read_transcript("events-since")[1:]
    recorded = [json.loads(line) for line in exchange["answer"].splitlines()]
    async with session.get(f"http://docker/v1.44/events?since=0&until={after_the_cluster}") as response:
        assert (response.status, response.headers["Content-Type"]) == (exchange["status"], exchange["type"])
        ours = [json.loads(line) for line in (await response.read()).splitlines()]
    for event in ours:
        assert list(event) == list(recorded[0])
        assert list(event["Actor"]) == list(recorded[0]["Actor"])
        assert all(isinstance(value, str) for value in event["Actor"]["Attributes"].values())
    told = {(event["Type"], event["Action"], *event["Actor"]["Attributes"]) for event in ours}
    known = {(event["Type"], event["Action"], *event["Actor"]["Attributes"]) for event in recorded}
    assert {item for item in told if item[0] == "service"} <= known
    assert ("service", "update", "name", "replicas.new", "replicas.old") in told
    assert ("node", "update", "availability.new", "availability.old", "name") in told
    assert {event["Type"] for event in ours} == {"node", "service", "secret"}


OUT_OF_SCOPE = {
    "version": "pyswarm's own words",
    "network-create": "pyswarm has no user-defined networks yet",
    "network-ls": "lists user-defined networks",
    "network-inspect-v": "inspects one",
    "network-rm": "removes one",
    "net-create-ext": "makes one",
    "svc-everything": "on user-defined networks; each of its other flags is in test_docker_command",
    "update-full": "updates that service",
    "service-inspect-pretty": "shows that service",
    "service-ps-filter": "shows its tasks",
    "logs-tty": "reads its log; the same is shown in test_logs",
    "stack-deploy": "makes a network",
    "stack-deploy-again": "the same stack",
    "stack-deploy-nodetach": "makes a network",
    "stack-deploy2": "makes a network",
    "stack-deploy2-again": "the same stack",
    "stack-ls": "lists those stacks",
    "stack-ls-json": "lists those stacks",
    "stack-ps-f": "shows one of them",
    "stack-services": "shows one of them",
    "stack-services-nx": "lists services by a label, as others do here",
    "stack-rm": "removes those stacks",
    "stack-rm-nx": "asks for the networks of a stack",
    "stack-config": "asks the daemon nothing",
    "context": "asks the daemon nothing",
    "system-df": "the engine's own: passed on",
    "svc-badmount": "dockerd lets it in and no node can run it; pyswarm refuses it at once",
    "svc-job": "dockerd's tasks never ended when it was recorded; test_docker_command waits for ours",
    "svc-gjob": "the same",
    "service-inspect-job": "shows that job",
    "scale-progress": "recorded half-way through, where our agents in memory are done at once",
    "update-progress": "the same",
    "rollback-progress": "the same",
    "update-rollback": "in the middle of that",
    "swarm-ca-rotate": "recorded while nodes changed over, which ours do at once",
    "swarm-ca-insp": "the same",
    "swarm-leave-noforce": "the refusal is the node's: tests of pyswarm.node",
    "events": "as events-since, with networks",
}
"""Conversations that are not played here, each with the reason."""


def test_every_recorded_conversation_is_played():
    source = Path(__file__).read_text()
    kept = {path.stem for path in (Path(__file__).parent / "transcripts").glob("*.jsonl")}
    assert {name for name in kept if f'"{name}"' not in source.split("OUT_OF_SCOPE")[0]} == set()
    assert kept.isdisjoint(OUT_OF_SCOPE)


def recorded_lines(replay: Replay, name: str, task_id: str = "") -> list[LogLine]:
    """What the recorded tasks (or that one, if it is not said) had written, as lines of our tasks."""
    (exchange,) = [line for line in read_transcript(name) if "/logs" in line.get("path", "")]
    recorded = base64.b64decode(exchange["answer"]["b64"])
    ours = replay.comparator.translate(recorded.decode("latin-1")).encode("latin-1")
    return [
        LogLine(
            service_id=(match["service"] or b"").decode(),
            node_id=(match["node"] or b"").decode(),
            task_id=match["task"].decode() if match["task"] else task_id,
            timestamp=_nanoseconds(match["second"].decode(), match["fraction"].decode()) if match["second"] else 0,
            stderr=match["stream"] == b"\2",
            data=match["data"],
        )
        for match in FRAME.finditer(ours)
    ]


def _nanoseconds(second: str, fraction: str) -> int:
    return calendar.timegm(time.strptime(second, "%Y-%m-%dT%H:%M:%S")) * SECOND + int(fraction)
