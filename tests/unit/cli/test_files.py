"""A file that the user names and that cannot be read: in the system's words, and once."""

from pathlib import Path

import pytest

from core.errors import InvalidArgument
from pyswarm.cli.files import read_text
from pyswarm.cli.options import parse_env_file


def test_the_text_is_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("Größe\n", "utf-8")
    assert read_text(tmp_path / "file") == "Größe\n"


def test_what_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    missing, binary = tmp_path / "none", tmp_path / "binary"
    binary.write_bytes(b"\xff")
    for path, reason in (
        (missing, "No such file or directory"),
        (tmp_path, "Is a directory"),
        (binary, "it is no text in UTF-8"),
    ):
        with pytest.raises(InvalidArgument) as refusal:
            read_text(path, "the passphrase")
        assert refusal.value.message == f"cannot read the passphrase from {path}: {reason}"
    with pytest.raises(InvalidArgument) as refusal:
        parse_env_file(str(missing))
    assert refusal.value.message == f"cannot read {missing}: No such file or directory"
