"""The state folder: what is kept, what damage says, and that nobody else reads or shares it."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import FailedPrecondition
from pyswarm.node.state import NODE_FILE, Membership, StateDir

MEMBERSHIP = Membership("eth0", "0.0.0.0:2377", ("192.0.2.1:2377", "192.0.2.2:2377"))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDir]:
    with closing(StateDir(tmp_path / "state")) as made:
        yield made


def test_a_new_folder_belongs_to_no_cluster(state: StateDir) -> None:
    assert state.load() is None


def test_what_was_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    with closing(StateDir(tmp_path)) as state:
        state.save(MEMBERSHIP)
    with closing(StateDir(tmp_path)) as state:
        assert state.load() == MEMBERSHIP


def test_only_its_owner_may_read_it(state: StateDir) -> None:
    state.save(MEMBERSHIP)
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in state.path.iterdir()} == {0o600}


def test_a_second_daemon_is_refused_with_what_to_do(state: StateDir) -> None:
    with pytest.raises(FailedPrecondition, match=r"another pyswarm daemon uses .*--state-dir"):
        StateDir(state.path)


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"advertise": "eth0"}', '{"managers": null}', '{"x": 1}'])
def test_a_damaged_file_says_how_to_go_on(state: StateDir, content: str) -> None:
    (state.path / NODE_FILE).write_text(content)
    with pytest.raises(FailedPrecondition, match=r"is damaged .*leave --force.*join again"):
        state.load()


def test_wiping_leaves_only_the_lock(state: StateDir) -> None:
    state.save(MEMBERSHIP)
    state.raft.mkdir()
    (state.raft / "journal").write_bytes(b"entry")
    state.worker_database.write_bytes(b"tasks")
    state.wipe()
    assert [entry.name for entry in state.path.iterdir()] == ["lock"]
    assert state.load() is None


def test_wiping_leaves_what_is_not_the_daemon_s(state: StateDir) -> None:
    (state.path / "raft.before").mkdir()
    (state.path / "api.sock").touch()
    state.wipe()
    assert {entry.name for entry in state.path.iterdir()} == {"lock", "raft.before", "api.sock"}


def test_a_folder_of_others_is_neither_closed_nor_used(tmp_path: Path) -> None:
    (tmp_path / "hosts").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(FailedPrecondition, match="a folder of its own with --state-dir"):
        StateDir(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert [entry.name for entry in tmp_path.iterdir()] == ["hosts"]


def test_wiping_minds_nobody_who_clears_up_meanwhile(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    (state.path / "relay.sock").touch()
    listed = [*state.path.iterdir(), state.path / "gone"]
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(listed))
    state.wipe()
    monkeypatch.undo()
    assert [entry.name for entry in state.path.iterdir()] == ["lock"]


def test_a_manager_that_is_one_no_more_keeps_the_rest(state: StateDir) -> None:
    state.save(MEMBERSHIP)
    state.wipe_raft()
    state.raft.mkdir()
    state.wipe_raft()
    assert not state.raft.exists()
    assert state.load() == MEMBERSHIP


def test_a_daemon_whose_folder_cannot_be_says_which_and_ends(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "pyswarm", "daemon", "--state-dir", str(tmp_path / "file" / "state")]
    daemon = subprocess.run(command, capture_output=True, text=True)
    said = daemon.stdout + daemon.stderr
    assert daemon.returncode == 1
    assert f"it must be able to write to {tmp_path / 'file' / 'state'}" in said
    assert "Traceback" not in said
