"""Our command where a cluster is saved and brought back: backup, restore, init --force-new-cluster."""

import asyncio
import base64
import stat

import pytest

from core.errors import Unavailable
from manager.backup import sealed
from pyswarm.engineapi.handlers.backup import HEADER
from tests.support.pyswarm_cli import PyswarmCli

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def pyswarm(session, socket_path) -> PyswarmCli:
    return PyswarmCli(socket_path)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "folder" / "swarm.backup"


@pytest.fixture(autouse=True)
def folder(file):
    file.parent.mkdir()


async def save(pyswarm, file, *flags):
    return await pyswarm.run("backup", "--passphrase-file", "-", *flags, str(file), stdin=f"{PASSPHRASE}\n")


async def load(pyswarm, file, passphrase=PASSPHRASE):
    return await pyswarm.run("restore", "--passphrase-file", "-", str(file), stdin=f"{passphrase}\n")


async def test_a_cluster_is_saved_and_restored(pyswarm, node, file, tmp_path):
    await pyswarm("init")
    before = node.cluster.cluster
    saved = await save(pyswarm, file)
    assert saved.stdout.startswith(f"Backup of {file.stat().st_size} bytes written to {file}.")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await pyswarm("leave", "--force")
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSPHRASE}\r\nnot this line\n")
    flags = ["--passphrase-file", str(secret), "--advertise-addr", "eth0", "--listen-addr", "0.0.0.0:2400"]
    restored = await pyswarm("restore", *flags, str(file))
    assert restored.lines[0] == f"Swarm restored: current node ({node.local.node_id}) is now its only manager."
    assert f"pyswarm join --token {before.root_ca.worker_token} 10.231.0.1:2377" in restored.lines
    asked = node.asked[-1]
    assert (asked.advertise_addr, asked.listen_addr) == ("eth0", "0.0.0.0:2400")
    assert (node.cluster.cluster.id, node.cluster.cluster.root_ca) == (before.id, before.root_ca)


async def test_the_secrets_are_in_no_message(pyswarm, node, file):
    await pyswarm("init")
    await save(pyswarm, file)
    wrong = await load(pyswarm, file)
    data = file.read_bytes()
    assert PASSPHRASE not in wrong.stderr + repr(node.asked)
    assert node.cluster.cluster.root_ca.key not in data


async def test_a_file_that_is_there_is_replaced_only_by_force(pyswarm, file):
    await pyswarm("init")
    file.write_text("precious")
    refused = await save(pyswarm, file)
    assert (refused.exit, file.read_text()) == (1, "precious")
    assert "is there already: give another name, or replace it with --force" in refused.stderr
    assert (await save(pyswarm, file, "--force")).exit == 0
    assert file.read_bytes().startswith(b"pyswarm backup\n")
    assert list(file.parent.iterdir()) == [file]


async def test_a_backup_that_breaks_off_leaves_what_was_there(pyswarm, node, file, monkeypatch):
    await pyswarm("init")
    file.write_text("precious")

    def broken(*_):
        yield b"begins well"
        yield b"x" * (1 << 20)
        raise RuntimeError

    async def backup(passphrase):
        return broken()

    monkeypatch.setattr(node, "backup", backup)
    cut = await save(pyswarm, file, "--force")
    assert cut.exit == 1
    assert "broke off the call" in cut.stderr
    assert file.read_text() == "precious"
    assert list(file.parent.iterdir()) == [file]


async def test_what_cannot_be_written_or_read_is_said(pyswarm, file):
    await pyswarm("init")
    nowhere = file.parent / "none" / "file"
    assert f"cannot write {nowhere}: No such file" in (await save(pyswarm, nowhere)).stderr
    assert f"cannot read {nowhere}: No such file" in (await load(pyswarm, nowhere)).stderr


async def test_a_passphrase_is_needed(pyswarm, file, tmp_path):
    await pyswarm("init")
    none = await pyswarm.run("backup", str(file))
    assert "give --passphrase-file FILE" in none.stderr
    missing = await pyswarm.run("backup", "--passphrase-file", str(tmp_path / "none"), str(file))
    assert "cannot read the passphrase from" in missing.stderr
    for passphrase, complaint in (("", "must hold the backup's passphrase"), ("short", "at least 12 characters")):
        refused = await pyswarm.run("backup", "--passphrase-file", "-", str(file), stdin=passphrase)
        assert complaint in refused.stderr
    assert list(file.parent.iterdir()) == []


async def test_a_person_is_asked_twice_and_unseen(pyswarm, node, file):
    await pyswarm("init")
    async with pyswarm.on_a_terminal("backup", str(file)) as terminal:
        await terminal.shows("Passphrase:")
        terminal.press(f"{PASSPHRASE}\n".encode())
        await terminal.shows("Repeat for confirmation:")
        terminal.press(f"{PASSPHRASE}\n".encode())
        await terminal.shows("written to")
        assert await terminal.ended() == 0
        assert PASSPHRASE not in terminal.text
    await pyswarm("leave", "--force")
    assert (await load(pyswarm, file)).exit == 0


async def test_a_wrong_passphrase_or_file_restores_nothing(pyswarm, node, file, tmp_path):
    await pyswarm("init")
    await save(pyswarm, file)
    taken = await load(pyswarm, file)
    assert "already part of a swarm" in taken.stderr
    await pyswarm("leave", "--force")
    assert "the passphrase is wrong" in (await load(pyswarm, file, "another passphrase")).stderr
    other = tmp_path / "other"
    other.write_bytes(b"#!/bin/sh\n" * (1 << 18))
    assert "no backup of pyswarm" in (await load(pyswarm, other)).stderr
    assert node.local.state == "inactive"


async def test_who_is_no_manager_has_nothing_to_save(pyswarm, file):
    assert "This node is not a swarm manager" in (await save(pyswarm, file)).stderr


@pytest.mark.parametrize("header", [{}, {HEADER: "***"}, {HEADER: base64.b64encode(b"\xff\xfe").decode()}])
async def test_the_passphrase_travels_in_a_header(session, pyswarm, header):
    await pyswarm("init")
    async with session.get("http://node/pyswarm/backup", headers=header) as response:
        assert response.status == 400
        assert "passphrase in base64" in (await response.json())["message"]


async def test_an_upload_that_breaks_off_is_told_apart_from_a_whole_one(session, node, socket_path, monkeypatch):
    ended = asyncio.get_running_loop().create_future()

    async def restore(request, backup):
        try:
            ended.set_result([piece async for piece in backup])
        except Exception as error:
            ended.set_exception(error)
            raise

    monkeypatch.setattr(node, "restore", restore)
    _, writer = await asyncio.open_unix_connection(socket_path)
    head = f"POST /pyswarm/restore HTTP/1.1\r\nHost: x\r\n{HEADER}: eA==\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode() + b"5\r\nhello\r\n")
    await writer.drain()
    writer.close()
    with pytest.raises(Unavailable, match="broke off before the whole backup was sent"):
        await ended


@pytest.mark.parametrize("noun", [[], ["swarm"]], ids=["pyswarm", "pyswarm swarm"])
async def test_force_new_cluster_keeps_addresses_unless_they_are_given(pyswarm, node, noun):
    await pyswarm("init")
    forced = await pyswarm(*noun, "init", "--force-new-cluster")
    assert forced.lines[0] == f"Swarm initialized: current node ({node.local.node_id}) is now a manager."
    asked = node.asked[-1]
    assert (asked.force_new_cluster, asked.advertise_addr, asked.listen_addr) == (True, "", "")
    await pyswarm(*noun, "init", "--force-new-cluster", "--advertise-addr", "eth1", "--listen-addr", "0.0.0.0:2400")
    asked = node.asked[-1]
    assert (asked.force_new_cluster, asked.advertise_addr, asked.listen_addr) == (True, "eth1", "0.0.0.0:2400")


@pytest.mark.parametrize("flag", ["--availability=drain", "--task-history-limit=3"])
async def test_force_new_cluster_refuses_what_it_would_not_change(pyswarm, flag):
    await pyswarm("init")
    refused = await pyswarm.run("init", "--force-new-cluster", flag)
    assert "change them afterwards" in refused.stderr


def test_a_guess_costs_time_and_memory() -> None:
    """Scrypt's r is 8: 128 bytes times n and r."""
    assert sealed._SCRYPT_N * 128 * 8 >= 64 << 20
