"""Secrets and configs on the managers' disks, over real logs, snapshots and gRPC."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import NotFound
from core.model import Config, ConfigSpec, Secret, SecretSpec
from manager.backup import sealed
from pyswarm.engineapi.ports import RestoreRequest
from tests.support.local_nodes import LocalNode, local_nodes
from tests.support.waiting import eventually

PASSPHRASE = "correct horse battery staple"
HIDDEN, NEWER, SETTINGS = b"a-secret-nobody-else-writes", b"another-one-of-these", b"settings-nobody-else-writes"
NAME = "name-of-the-secret"


@pytest.fixture
async def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[LocalNode]]:
    monkeypatch.setattr(sealed, "_SCRYPT_N", 2)
    async with local_nodes(tmp_path, 3, monkeypatch) as made:
        yield made


def on_disk(node: LocalNode) -> bytes:
    return b"".join(path.read_bytes() for path in node.folder.rglob("*") if path.is_file())


async def stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_RFT_08_neither_log_nor_snapshot_nor_backup_shows_what_is_secret(nodes: list[LocalNode]) -> None:
    leader, follower, fresh = nodes
    await leader.init()
    await follower.join_as_manager(leader)
    control = follower.api.control()
    secret_id = await control.create_dependency(SecretSpec(NAME, data=HIDDEN), b"1")
    await control.create_dependency(ConfigSpec(NAME, data=SETTINGS), b"2")
    newer_id = await control.add_dependency_version(Secret, NAME, NEWER, b"3")
    assert (await control.get_secret(NAME)).id == newer_id != secret_id
    assert (await control.get_secret(NAME)).spec.data == b""
    assert (await control.get_config(NAME)).spec.data == SETTINGS
    backup = b"".join(await leader.api.backup(PASSPHRASE))
    for node in (leader, follower):
        await node.stop()
    await fresh.api.restore(RestoreRequest(fresh.addr, fresh.addr, PASSPHRASE), stream([backup]))
    await fresh.stop()
    assert (fresh.folder / "raft" / "snapshot").exists()
    for written in (backup, *map(on_disk, nodes)):
        assert len(written) > 1000
        for text in (HIDDEN, NEWER, SETTINGS, NAME.encode()):
            assert text not in written


async def test_what_was_made_is_there_after_a_restart(nodes: list[LocalNode]) -> None:
    node = nodes[0]
    await node.init()
    await node.api.control().create_dependency(SecretSpec(NAME, data=HIDDEN), b"1")
    await node.api.control().add_dependency_version(Secret, NAME, NEWER, b"2")
    await node.stop()
    node.start()
    await node.api.resume()
    await eventually("it leads", lambda: node.api.manager is not None and node.api.manager.is_leader)
    found = await node.api.control().get_secret(NAME)
    assert found.revision == 2
    manager = node.api.manager
    assert manager is not None
    held = manager.store.secret(found.id)
    assert held is not None
    assert held.spec.data == NEWER


async def test_a_follower_passes_every_change_on_to_the_leader(nodes: list[LocalNode]) -> None:
    leader, follower, _ = nodes
    await leader.init()
    await follower.join_as_manager(leader)
    control = follower.api.control()
    for kind, spec in ((Secret, SecretSpec(NAME, data=HIDDEN)), (Config, ConfigSpec(NAME, data=HIDDEN))):
        item_id = await control.create_dependency(spec, kind.__name__.encode())
        assert await control.create_dependency(spec, kind.__name__.encode()) == item_id
        found = await (control.get_secret(NAME) if kind is Secret else control.get_config(NAME))
        await control.update_dependency(item_id, found.meta.version, replace(spec, labels={"a": "b"}, data=b""))
        newer_id = await control.add_dependency_version(kind, item_id, NEWER, b"new " + kind.__name__.encode())
        listed = await (control.list_secrets({}) if kind is Secret else control.list_configs({}))
        assert [(item.id, item.revision, item.spec.labels) for item in listed] == [(newer_id, 2, {"a": "b"})]
        await control.remove_dependency(kind, NAME)
        with pytest.raises(NotFound, match=f"{kind.__name__.lower()} {NAME} not found"):
            await control.remove_dependency(kind, NAME)
