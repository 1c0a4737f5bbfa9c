"""A node's keys on disk, locked and unlocked: after a crash wherever it comes, both they and the log can be opened."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import FailedPrecondition
from core.model import Role
from identity.files import FILE_NAME, IN_CLEAR, Locked, load
from identity.unlock import new_unlock_key
from manager.logkeys import with_log_key
from pyswarm.node import keychain as keychains
from pyswarm.node.keychain import Keychain, load_keychain, new_keychain
from raft import Locked as LogLocked
from tests.support.certificates import Issuer

FIRST, SECOND = b"1" * 32, b"2" * 32
ISSUER = Issuer()


class Log:
    """What a manager's log is locked with."""

    def __init__(self) -> None:
        self.key = b""

    def open(self, key: bytes) -> str:
        if self.key and key != self.key:
            raise LogLocked("another key")
        return "opened"


def manager_keys(folder: Path) -> Keychain:
    return new_keychain(folder, ISSUER.credentials("n" * 25, Role.MANAGER))


def lock(keychain: Keychain, log: Log, unlock_key: bytes) -> None:
    """All three steps, as the node makes them."""
    key = keychain.begin_locking(unlock_key)
    assert key is not None
    log.key = key
    keychain.finish_locking()


def test_CA_08_a_managers_keys_open_with_the_unlock_key_alone(tmp_path: Path) -> None:
    keychain, log = manager_keys(tmp_path), Log()
    bundle = keychain.credentials.bundle
    lock(keychain, log, FIRST)
    path = tmp_path / FILE_NAME
    assert b"PRIVATE KEY" not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert log.key not in (b"", FIRST)
    for wrong in (b"", SECOND):
        with pytest.raises(Locked):
            load(tmp_path, wrong)
    again = load_keychain(tmp_path, FIRST)
    assert again is not None
    assert (again.credentials.bundle, again.log_keys) == (bundle, (log.key,))
    assert again.begin_locking(FIRST) is None
    lock(again, log, b"")
    in_clear = load(tmp_path)
    assert in_clear is not None
    assert (in_clear.bundle, in_clear.log_keys, log.key) == (bundle, IN_CLEAR, b"")


def test_CA_08_another_unlock_key_locks_out_the_one_before_and_the_log_gets_a_key_of_its_own(tmp_path: Path) -> None:
    keychain, log = manager_keys(tmp_path), Log()
    lock(keychain, log, FIRST)
    before = log.key
    lock(keychain, log, SECOND)
    assert log.key not in (b"", before)
    with pytest.raises(Locked):
        load(tmp_path, FIRST)
    keys = load(tmp_path, SECOND)
    assert keys is not None
    assert keys.log_keys == (log.key,)


@pytest.mark.parametrize("way", [(b"", FIRST), (FIRST, SECOND), (FIRST, b"")], ids=["on", "another", "off"])
@pytest.mark.parametrize("steps", [1, 2], ids=["before the log", "after the log"])
def test_CA_08_a_crash_between_the_steps_leaves_both_to_be_opened_and_is_made_good(
    tmp_path: Path, way: tuple[bytes, bytes], steps: int
) -> None:
    before, after = way
    keychain, log = manager_keys(tmp_path), Log()
    if before:
        lock(keychain, log, before)
    key = keychain.begin_locking(after)
    assert key is not None
    if steps == 2:
        log.key = key

    again = load_keychain(tmp_path, after)
    assert again is not None
    assert with_log_key(again.log_keys, log.open) == "opened"
    lock(again, log, after)
    assert again.begin_locking(after) is None
    last = load(tmp_path, after)
    assert last is not None
    assert with_log_key(last.log_keys, log.open) == "opened"
    assert len(last.log_keys) == 1


def test_CA_08_attempts_that_fail_again_and_again_leave_no_heap_of_keys(tmp_path: Path) -> None:
    keychain, log = manager_keys(tmp_path), Log()
    keys = {keychain.begin_locking(FIRST) for _ in range(5)}
    assert len(keys) == 1
    assert len(keychain.log_keys) == 2
    lock(keychain, log, FIRST)
    assert keychain.log_keys == (log.key,)


def test_CA_08_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keychain = manager_keys(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(keychains, "save", full)
        with pytest.raises(OSError, match="No space"):
            keychain.begin_locking(FIRST)
    assert (keychain.unlock_key, keychain.log_keys) == (b"", IN_CLEAR)
    assert load(tmp_path) is not None


def test_CA_08_a_workers_keys_are_never_locked(tmp_path: Path) -> None:
    worker = new_keychain(tmp_path, ISSUER.credentials("n" * 25))
    assert worker.begin_locking(FIRST) is None
    assert load(tmp_path) is not None


def test_CA_08_a_new_certificate_stays_locked_and_a_demoted_managers_is_not(tmp_path: Path) -> None:
    keychain, log = manager_keys(tmp_path), Log()
    lock(keychain, log, FIRST)
    renewed = ISSUER.credentials("n" * 25, Role.MANAGER).bundle
    keychain.save(renewed)
    with pytest.raises(Locked):
        load(tmp_path)
    keys = load(tmp_path, FIRST)
    assert keys is not None
    assert (keys.bundle, keys.log_keys) == (renewed, (log.key,))
    demoted = ISSUER.credentials("n" * 25).bundle
    keychain.save(demoted)
    keys = load(tmp_path)
    assert keys is not None
    assert (keys.bundle, keys.log_keys, keychain.unlock_key) == (demoted, IN_CLEAR, b"")


def _cut(data: bytes) -> bytes:
    return data.replace(b"\n", b"", 3)


def _flipped(data: bytes) -> bytes:
    at = data.index(b"LOCKED KEYS-----\n") + 40
    return data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :]


@pytest.mark.parametrize("damage", [_cut, _flipped])
def test_CA_08_damage_to_locked_keys_is_never_taken_for_keys(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    lock(manager_keys(tmp_path), Log(), FIRST)
    path = tmp_path / FILE_NAME
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FailedPrecondition):
        load(tmp_path, FIRST)


def test_CA_08_no_secret_is_printed(tmp_path: Path) -> None:
    key = new_unlock_key()
    keychain, log = manager_keys(tmp_path), Log()
    lock(keychain, log, key)
    shown = repr(load(tmp_path, key)) + repr(keychain)
    for secret in (key, log.key):
        assert repr(secret)[2:-1] not in shown
    assert "PRIVATE KEY" not in shown
