"""Autolock and the root certificate, by the docker command, by ours, and by plain HTTP, over a cluster in memory."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core.clock import SECOND
from identity.certificates import load_certificate, signed_by
from identity.keys import key_pem, new_key
from identity.root import create_root
from identity.unlock import unlock_key_text
from tests.support.docker_cli import DockerCli
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import START, MemoryCluster
from tests.support.pyswarm_cli import PyswarmCli

BASE = "http://docker/v1.44"
DAY = 24 * 3600 * SECOND
HOW_TO_UNLOCK = """\
To unlock a swarm manager after it restarts, run the `{program} unlock`
command and provide the following key:

    {key}

Remember to store this key in a password manager, since without it you
will not be able to restart the manager.
"""
NEXT_LINE = "\n"


@pytest.fixture(params=["docker", "pyswarm"])
def command(request: pytest.FixtureRequest, docker: DockerCli, socket_path: Path) -> Any:
    return docker if request.param == "docker" else PyswarmCli(socket_path)


def how_to_unlock(command: Any, node: FakeNode) -> str:
    program = "docker swarm" if isinstance(command, DockerCli) else "pyswarm"
    return HOW_TO_UNLOCK.format(program=program, key=key_of(node))


def key_of(node: FakeNode) -> str:
    return unlock_key_text(cluster_of(node).cluster.unlock_key)


def cluster_of(node: FakeNode) -> MemoryCluster:
    assert node.cluster is not None
    return node.cluster


async def test_CA_08_a_cluster_may_be_locked_from_the_beginning(command: Any, node: FakeNode) -> None:
    shown = await command("swarm", "init", "--autolock")
    assert shown.stdout.rstrip().endswith(how_to_unlock(command, node).rstrip())
    assert cluster_of(node).cluster.spec.auto_lock
    assert (await command("info", "--format", "{{.Swarm.Cluster.Spec.EncryptionConfig.AutoLockManagers}}")).lines == [
        "true"
    ]


async def test_CA_08_locking_is_turned_on_and_off_later(command: Any, node: FakeNode) -> None:
    await command("swarm", "init")
    refused = await command.run("swarm", "unlock-key")
    assert (refused.exit, "no unlock key is set" in refused.stderr) == (1, True)
    refused = await command.run("swarm", "unlock-key", "--rotate")
    assert (refused.exit, "cannot rotate because autolock is not turned on" in refused.stderr) == (1, True)
    on = await command("swarm", "update", "--autolock")
    assert on.stdout.rstrip() == "Swarm updated." + NEXT_LINE + how_to_unlock(command, node).rstrip()
    key = key_of(node)
    await command("swarm", "update", "--autolock=true", "--task-history-limit", "3")
    assert key_of(node) == key
    await command("swarm", "update", "--autolock=false")
    assert cluster_of(node).cluster.unlock_key == b""


async def test_CA_08_the_unlock_key_is_shown_and_rotated(command: Any, node: FakeNode) -> None:
    await command("swarm", "init", "--autolock")
    before = key_of(node)
    assert (await command("swarm", "unlock-key")).stdout.rstrip() == how_to_unlock(command, node).rstrip()
    assert (await command("swarm", "unlock-key", "-q")).lines == [before]
    rotated = await command("swarm", "unlock-key", "--rotate")
    assert rotated.lines[0] == "Successfully rotated manager unlock key."
    assert rotated.stdout.rstrip().endswith(how_to_unlock(command, node).rstrip())
    assert key_of(node) != before
    quiet = await command("swarm", "unlock-key", "--rotate", "-q")
    assert quiet.lines == [key_of(node)]


async def test_CA_08_a_locked_manager_says_so_and_is_unlocked_with_the_right_key_only(
    command: Any, node: FakeNode
) -> None:
    refused = await command.run("swarm", "unlock", stdin="x\n")
    assert (refused.exit, refused.stderr) == (1, "Error: This node is not part of a swarm\n")
    await command("swarm", "init", "--autolock")
    refused = await command.run("swarm", "unlock", stdin="x\n")
    assert (refused.exit, refused.stderr) == (1, "Error: swarm is not locked\n")
    key = key_of(node)
    node.restart()
    assert (await command("info", "--format", "{{.Swarm.LocalNodeState}}")).lines == ["locked"]
    for arguments in (["node", "ls"], ["service", "ls"], ["swarm", "update", "--autolock=false"]):
        refused = await command.run(*arguments)
        assert (refused.exit, "Swarm is encrypted and needs to be unlocked" in refused.stderr) == (1, True)
    for wrong in (unlock_key_text(b"k" * 32), "SWMKEY-1-short", key[:-1]):
        refused = await command.run("swarm", "unlock", stdin=f"{wrong}\n")
        assert (refused.exit, "invalid" in refused.stderr, wrong in refused.stderr) == (1, True, False)
    await command("swarm", "unlock", stdin=f"{key}\n")
    assert len((await command("node", "ls", "-q")).lines) == 1


async def test_CA_08_the_unlock_key_is_in_no_other_answer(
    docker: DockerCli, node: FakeNode, session: aiohttp.ClientSession
) -> None:
    await docker("swarm", "init", "--autolock")
    key = key_of(node)
    for path in ("/swarm", "/info", "/nodes"):
        async with session.get(f"{BASE}{path}") as answer:
            said = await answer.text()
        assert answer.status == 200
        assert key.removeprefix("SWMKEY-1-")[:20] not in said
        assert "PRIVATE KEY" not in said
    async with session.get(f"{BASE}/swarm/unlockkey") as answer:
        assert await answer.json() == {"UnlockKey": key}
    async with session.post(f"{BASE}/swarm/unlock", json={"UnlockKey": key}) as answer:
        assert (answer.status, await answer.json()) == (409, {"message": "swarm is not locked"})


async def test_CA_06_the_root_is_shown_and_rotated(command: Any, node: FakeNode) -> None:
    await command("swarm", "init")
    await cluster_of(node).add_node("vm2")
    old = cluster_of(node).cluster.root_ca
    assert (await command("swarm", "ca")).stdout.strip() == old.cert.decode().strip()
    rotated = await command("swarm", "ca", "--rotate")
    new = cluster_of(node).cluster.root_ca
    assert new.rotation is None
    assert new.cert != old.cert
    assert new.worker_token != old.worker_token
    assert rotated.stdout.strip().endswith(new.cert.decode().strip())
    assert cluster_of(node).cluster.spec.force_rotate == 1
    assert (await command("node", "ls", "--format", "{{.TLSStatus}}")).lines == ["Ready", "Ready"]
    quiet = await command("swarm", "ca", "--rotate", "--quiet")
    assert quiet.stdout == ""
    assert cluster_of(node).cluster.root_ca.cert != new.cert


async def test_CA_06_a_rotation_need_not_be_waited_for_and_sets_the_expiry_too(command: Any, node: FakeNode) -> None:
    await command("swarm", "init")
    assert (await command("swarm", "ca", "--rotate", "-d", "--cert-expiry", "2000h")).stdout == ""
    assert cluster_of(node).cluster.spec.node_cert_expiry == 2000 * 3600 * SECOND
    refused = await command.run("swarm", "ca", "--cert-expiry", "1000h")
    assert (refused.exit, "requires the `--rotate` flag" in refused.stderr) == (1, True)


async def test_CA_06_to_a_root_of_the_users_own(command: Any, node: FakeNode, tmp_path: Path) -> None:
    await command("swarm", "init")
    cert, key = create_root(START - DAY)
    cert_file, key_file = tmp_path / "root.pem", tmp_path / "root.key"
    cert_file.write_bytes(cert)
    key_file.write_bytes(key)
    await command("swarm", "ca", "--rotate", "--ca-cert", str(cert_file), "--ca-key", str(key_file), "-q")
    assert cluster_of(node).cluster.root_ca.cert == cert
    await command("swarm", "update", "--task-history-limit", "4")
    assert cluster_of(node).cluster.root_ca.cert == cert
    key_file.write_bytes(key_pem(new_key()))
    refused = await command.run("swarm", "ca", "--rotate", "--ca-cert", str(cert_file), "--ca-key", str(key_file))
    assert (refused.exit, "is not the root certificate's" in refused.stderr) == (1, True)
    assert "PRIVATE KEY" not in refused.stderr


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"ExternalCAs": [{"Protocol": "cfssl", "URL": "https://ca"}]}, "sign certificates themselves"),
        ({"SigningCAKey": "key"}, "without its certificate"),
        ({"SigningCACert": create_root(START)[0].decode()}, "without its key"),
        ({"SigningCACert": "x", "SigningCAKey": "y"}, "cannot be read"),
        ({"ForceRotate": -1}, "ForceRotate cannot be negative"),
    ],
)
async def test_CA_06_a_root_that_cannot_be_used_is_refused_with_the_reason(
    docker: DockerCli, node: FakeNode, session: aiohttp.ClientSession, config: dict[str, Any], reason: str
) -> None:
    await docker("swarm", "init")
    before = cluster_of(node).cluster
    async with session.post(f"{BASE}/swarm/update?version={before.meta.version}", json={"CAConfig": config}) as answer:
        assert answer.status == 400
        assert reason in (await answer.json())["message"]
    assert cluster_of(node).cluster == before
    async with session.post(f"{BASE}/swarm/leave?force=1"):
        pass
    async with session.post(f"{BASE}/swarm/init", json={"Spec": {"CAConfig": config}}) as answer:
        assert answer.status == 400


async def test_CA_06_while_nodes_are_missing_both_roots_are_shown_for_what_they_are(
    docker: DockerCli, node: FakeNode, session: aiohttp.ClientSession
) -> None:
    await docker("swarm", "init")
    cluster = cluster_of(node)
    cluster.agents.away = {(await cluster.add_node("vm2")).id}
    old = cluster.cluster.root_ca.cert
    await docker("swarm", "ca", "--rotate", "--detach")
    async with session.get(f"{BASE}/swarm") as answer:
        shown = await answer.json()
    assert shown["RootRotationInProgress"]
    assert shown["TLSInfo"]["TrustRoot"] == old.decode()
    async with session.get(f"{BASE}/nodes") as answer:
        tls = {each["Description"]["Hostname"]: each["Description"]["TLSInfo"] for each in await answer.json()}
    assert tls["vm"]["CertIssuerPublicKey"] == shown["TLSInfo"]["CertIssuerPublicKey"]
    assert tls["vm2"]["CertIssuerPublicKey"] != shown["TLSInfo"]["CertIssuerPublicKey"]
    both = cluster.cluster.root_ca
    assert both.rotation is not None
    assert tls["vm"]["TrustRoot"] == (old + both.rotation.cert).decode()
    assert tls["vm2"]["TrustRoot"] == old.decode()
    assert sorted((await docker("node", "ls", "--format", "{{.TLSStatus}}")).lines) == ["Needs Rotation"] * 2
    assert signed_by(load_certificate(both.rotation.cross_signed), load_certificate(old))
