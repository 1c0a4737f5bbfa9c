"""`pyswarm raft check` and `raft dump` on the folder of a stopped daemon."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.errors import FailedPrecondition, PyswarmError
from core.ids import new_id
from core.model import Role
from identity.files import NodeKeys, save
from identity.unlock import unlock_key_text
from proto import store_pb2 as pb
from pyswarm.cli.main import cli, main
from pyswarm.node.state import StateDir
from raft import Timing, codec
from raft.engine import events as ev
from raft.storage import state as storage
from tests.support.certificates import Issuer
from tests.support.file_operations import SECTOR, bad_sector
from tests.support.lone_engine import LoneEngine, load

CLUSTER, NODE = new_id(), new_id()
SECRET = "SWMTKN-1-a-token-that-nobody-may-see"


def log(folder: Path, unlock_key: bytes = b"") -> LoneEngine:
    storage.create(folder / "raft", CLUSTER, NODE, "10.0.0.1:2377", unlock_key=unlock_key).journal.close()
    return LoneEngine(load(folder / "raft", CLUSTER, NODE, unlock_key), Timing())


def stored(member: LoneEngine) -> str:
    """Writes what a manager would: the id of the service."""
    entry = pb.StoreEntry(proposed_at=5)
    entry.changes.add(kind=pb.Change.CREATE).service.id = service = new_id()
    entry.changes[0].service.spec.name = SECRET
    entry.changes.add(kind=pb.Change.DELETE).task.id = new_id()
    member.engine.post(ev.Propose(b"\xff" * 4, codec.encode_proposal(b"\xff" * 4, entry.SerializeToString())))
    member.turn_until(lambda: len(member.notebook.applied) == 1)
    return service


def run(verb: str, folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["raft", verb, "--state-dir", str(folder), *arguments])


def refusal(verb: str, folder: Path) -> str:
    """What `main` prints before it exits with 1."""
    result = run(verb, folder)
    assert isinstance(result.exception, PyswarmError)
    return result.exception.message


def test_check_of_a_whole_log_says_what_is_in_it(tmp_path: Path) -> None:
    member = log(tmp_path)
    member.write(5)
    member.rotate()
    member.write(2)
    member.state.keys.rotate()
    member.close()
    before = {path: path.read_bytes() for path in (tmp_path / "raft").iterdir()}
    result = run("check", tmp_path)
    assert result.exit_code == 0
    lines = [line.split(maxsplit=1) for line in result.output.splitlines()]
    assert lines[:3] == [["Cluster", CLUSTER], ["Node", NODE], ["Term", f"1, voted for {NODE}"]]
    assert "Entries    1 to 10, of the terms 0 to 1" in result.output
    assert "of the entries up to 8, of the term 1: 1 managers, " in result.output
    assert "Data key   in clear; a new one takes over when the daemon runs" in result.output
    assert result.output.endswith("\nThe log is whole.\n")
    assert {path: path.read_bytes() for path in (tmp_path / "raft").iterdir()} == before


def test_check_tells_a_torn_end_and_leaves_it(tmp_path: Path) -> None:
    member = log(tmp_path)
    member.write(5)
    member.close()
    last = max((tmp_path / "raft").glob("*.wal"))
    os.truncate(last, last.stat().st_size - 7)
    result = run("check", tmp_path)
    assert result.exit_code == 0
    assert f"Torn end   {last}: " in result.output
    assert "the next start cuts them away" in result.output


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "harm", "says"),
    [
        ("0000000000000003.wal", flip, "0000000000000003.wal: a record is damaged at byte "),
        (
            "0000000000000004.wal",
            Path.unlink,
            "0000000000000005.wal: the file before it, number 4, is missing. This manager",
        ),
        ("snapshot", flip, "snapshot: the snapshot is damaged at byte "),
        ("snapshot", Path.unlink, "snapshot: the snapshot that the log needs is missing"),
        ("data-key", flip, "data-key: the data keys are damaged"),
        ("data-key", Path.unlink, "data-key: it is missing, and without it the log cannot be read. This manager"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "dump"])
def test_damage_is_named_with_its_file_and_what_to_do(
    tmp_path: Path, verb: str, name: str, harm: Callable[[Path], None], says: str
) -> None:
    member = log(tmp_path)
    member.write(9)
    member.engine._core.freeze()
    member.turn_until(lambda: not member.engine._core.freezing)
    member.state.journal.compact(4)
    member.close()
    for _ in range(2):
        load(tmp_path / "raft", CLUSTER, NODE).journal.close()
    harm(tmp_path / "raft" / name)
    message = refusal(verb, tmp_path)
    assert says in message
    if "damaged" in says:
        assert "pyswarm node demote" in message


def test_dump_lists_kinds_and_ids_and_no_contents(tmp_path: Path) -> None:
    member = log(tmp_path)
    service = stored(member)
    member.close()
    result = run("dump", tmp_path)
    assert result.exit_code == 0
    heading, first, change, leader, store = result.output.splitlines()
    assert heading.split() == ["INDEX", "TERM", "KIND", "SIZE", "REQUEST", "ID", "CHANGES"]
    assert first.split()[:3] == ["1", "0", "leader"]
    assert change.split()[2:] == ["member", change.split()[3], b"first member".hex(), "voter", NODE, "10.0.0.1:2377"]
    assert leader.split()[:3] == ["3", "1", "leader"]
    assert store.split()[:3] == ["4", "1", "store"]
    assert "ffffffff" in store
    assert f"create service {service}, delete task " in store
    rows = [json.loads(line) for line in run("dump", tmp_path, "--format", "json").output.splitlines()]
    assert [row["Index"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["Changes"].startswith(f"create service {service}")
    assert run("dump", tmp_path, "--format", "{{.Term}} {{.Size}}").output.splitlines()[2] == "1 1"
    for shown in ("", "json", "raw"):
        assert SECRET not in run("dump", tmp_path, "--format", shown).output


@pytest.mark.parametrize("verb", ["check", "dump"])
def test_it_is_refused_while_the_daemon_runs(tmp_path: Path, verb: str) -> None:
    log(tmp_path).close()
    daemon = StateDir(tmp_path)
    assert "another pyswarm daemon uses" in refusal(verb, tmp_path)
    daemon.close()
    assert run(verb, tmp_path).exit_code == 0


@pytest.mark.parametrize("verb", ["check", "dump"])
def test_a_node_without_a_log_is_told_so(tmp_path: Path, verb: str) -> None:
    assert "holds no log: this node is not a manager" in refusal(verb, tmp_path)
    assert not list(tmp_path.iterdir())
    assert "holds no log" in refusal(verb, tmp_path / "nowhere")
    (tmp_path / "raft").mkdir()
    assert "holds no log" in refusal(verb, tmp_path)


def test_a_locked_log_is_not_opened(tmp_path: Path) -> None:
    log(tmp_path, bytes(32)).close()
    result = run("check", tmp_path)
    assert isinstance(result.exception, FailedPrecondition)
    assert "is locked" in str(result.exception)


def test_who_may_not_read_it_is_told_to_be_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log(tmp_path).close()

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("pyswarm.node.state.StateDir", refuse)
    assert refusal("check", tmp_path) == f"cannot read {tmp_path}: Permission denied; run this as root"


@pytest.mark.parametrize("verb", ["check", "dump"])
def test_S8_a_bad_sector_under_the_log_is_told_with_file_and_byte(
    tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    member = log(tmp_path)
    member.write(30)
    member.close()
    path = max((tmp_path / "raft").glob("*.wal"))
    monkeypatch.setattr(os, "pread", bad_sector(path, 2 * SECTOR))
    monkeypatch.setattr(sys, "argv", ["pyswarm", "raft", verb, "--state-dir", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert f"cannot read {path}: Input/output error at byte 1024. This manager does not start without it" in told.err


@pytest.mark.parametrize("verb", ["check", "dump"])
def test_the_process_exits_with_0_or_1(tmp_path: Path, verb: str) -> None:
    log(tmp_path).close()
    command = [sys.executable, "-m", "pyswarm", "raft", verb, "--state-dir", str(tmp_path)]
    assert subprocess.run(command, capture_output=True).returncode == 0
    flip(max((tmp_path / "raft").glob("*.wal")))
    refused = subprocess.run(command, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "a record is damaged at byte " in refused.stderr
    assert "Traceback" not in refused.stderr


LOG_KEY, UNLOCK_KEY = b"l" * 32, b"u" * 32


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    member = log(tmp_path, LOG_KEY)
    member.write(5)
    member.close()
    bundle = Issuer().credentials(NODE, Role.MANAGER).bundle
    save(tmp_path / "certificates", NodeKeys(bundle, (LOG_KEY,)), UNLOCK_KEY)
    return tmp_path


@pytest.mark.parametrize("verb", ["check", "dump"])
def test_CA_08_a_locked_managers_log_is_read_with_the_unlock_key(locked: Path, verb: str) -> None:
    text = unlock_key_text(UNLOCK_KEY)
    for given, environment in ((f"{text}\n", {}), ("", {"PYSWARM_UNLOCK_KEY": text})):
        result = CliRunner().invoke(cli, ["raft", verb, "--state-dir", str(locked)], input=given, env=environment)
        assert (result.exit_code, result.exception) == (0, None)
        assert "locked" in result.output or verb == "dump"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "no unlock key on standard input"),
        ("SWMKEY-1-x\n", "invalid unlock key: it looks like"),
        (f"{unlock_key_text(b'w' * 32)}\n", "locked with another unlock key"),
    ],
)
def test_CA_08_without_the_right_key_a_locked_managers_log_is_not_read(locked: Path, given: str, says: str) -> None:
    result = CliRunner().invoke(cli, ["raft", "check", "--state-dir", str(locked)], input=given)
    assert result.exit_code == 1
    assert says in result.output + str(result.exception)
