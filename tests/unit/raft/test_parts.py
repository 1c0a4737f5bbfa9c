"""A large append leaves in small messages that follow each other."""

import pytest

from raft.engine.translate import parts
from raft.messages import Append, Entry

SIZES = ([], [10], [40_000] * 10, [1_000_000, 10, 1_000_000], [200_000] * 3, [1_000] * 1_000)


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{len(sizes)} entries")
def test_the_parts_of_an_append_are_small_and_say_the_same(sizes: list[int]) -> None:
    entries = tuple(Entry(bytes(size), 8 + number, 3 + number // 4) for number, size in enumerate(sizes))
    before, cut = Entry(b"", 7, 2), []
    for part in parts(Append(9, 7, 2, 5, entries, 1)):
        assert (part.term, part.commit_index, part.sent) == (9, 5, 1)
        assert (part.prev_index, part.prev_term) == (before.idx, before.term)
        assert len(part.entries) <= 1 or sum(len(entry.command) for entry in part.entries[:-1]) < 128 << 10
        before = part.entries[-1] if part.entries else before
        cut.append(part)
    assert tuple(entry for part in cut for entry in part.entries) == entries
    assert len(cut) == 1 or all(part.entries for part in cut)
