"""A file's bytes behave as `bytes`."""

from pathlib import Path

import pytest

from raft.storage.file import FileBytes

SOUGHT = b"\xf7PSJ"


@pytest.mark.parametrize("at", [0, 5, (64 << 10) - 3, (64 << 10) - 1, 64 << 10, (128 << 10) - 6, 150_000 - 4])
def test_what_is_sought_is_found_wherever_it_lies(tmp_path: Path, at: int) -> None:
    whole = bytearray(150_000)
    whole[at : at + len(SOUGHT)] = SOUGHT
    path = tmp_path / "file"
    path.write_bytes(whole)
    data = FileBytes(path)
    assert len(data) == len(whole)
    for start in (0, 3, at, at + 1, len(whole)):
        assert data.find(SOUGHT, start) == whole.find(SOUGHT, start)
    for part in (slice(0, 10), slice(at, at + 9), slice(len(whole) - 3, len(whole) + 3), slice(9, 3)):
        assert data[part] == whole[part]
