"""Credentials on disk."""

import os
import stat
from pathlib import Path

import pytest

from core.errors import FailedPrecondition
from identity.files import FILE_NAME, NodeKeys, load_credentials, load_identity, save
from identity.model import PemBundle
from tests.support.certificates import DAY, Issuer


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    credentials = Issuer().credentials()
    save(tmp_path / "certificates", NodeKeys(credentials.bundle))
    loaded = load_credentials(tmp_path / "certificates")
    assert loaded is not None
    assert loaded.bundle == credentials.bundle


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        save(folder, NodeKeys(Issuer().credentials().bundle))
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == {FILE_NAME: 0o600}


def test_there_may_be_none(tmp_path: Path) -> None:
    assert load_credentials(tmp_path) is None


def test_an_expired_certificate_is_loaded_so_that_it_can_be_renewed(tmp_path: Path) -> None:
    issuer = Issuer()
    old = issuer.credentials(now=issuer.now - 30 * DAY, lifetime=DAY)
    save(tmp_path, NodeKeys(old.bundle))
    loaded = load_credentials(tmp_path)
    assert loaded is not None
    assert loaded.expires_at == old.expires_at < issuer.now


def test_a_crash_while_saving_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer()
    old, new = issuer.credentials(), issuer.credentials()
    save(tmp_path, NodeKeys(old.bundle))

    def crash(descriptor: int) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", crash)
        with pytest.raises(OSError, match="no space left"):
            save(tmp_path, NodeKeys(new.bundle))
    loaded = load_credentials(tmp_path)
    assert loaded is not None
    assert loaded.bundle == old.bundle
    save(tmp_path, NodeKeys(new.bundle))
    loaded = load_credentials(tmp_path)
    assert loaded is not None
    assert loaded.bundle == new.bundle
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_damaged_file_is_said_to_be_damaged_and_what_to_do(tmp_path: Path) -> None:
    issuer = Issuer()
    one, other = issuer.credentials().bundle, issuer.credentials().bundle
    save(tmp_path, NodeKeys(one))
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"\x00" * 100, one.key + other.certificate + one.root):
        path.write_bytes(damaged)
        with pytest.raises(FailedPrecondition, match=r"is damaged.*pyswarm leave --force"):
            load_credentials(tmp_path)


def test_the_key_is_not_printed() -> None:
    bundle: PemBundle = Issuer().credentials().bundle
    assert "PRIVATE KEY" not in repr(bundle)
    assert "PRIVATE KEY" not in repr(Issuer().credentials())


def test_whose_keys_they_are_can_be_read_while_they_are_locked(tmp_path: Path) -> None:
    credentials = Issuer().credentials()
    assert load_identity(tmp_path) is None
    save(tmp_path, NodeKeys(credentials.bundle), os.urandom(32))
    assert load_identity(tmp_path) == credentials.identity


def test_without_a_readable_certificate_nobody_knows_whose_keys_they_are(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(Issuer().credentials().bundle.key)
    with pytest.raises(FailedPrecondition, match="is damaged"):
        load_identity(tmp_path)
