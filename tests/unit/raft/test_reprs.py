"""What a log line or an assertion may print of the log's parts never shows what commands hold."""

from raft.engine.events import Committed, Propose, Received
from raft.messages import Append, Entry

SECRET = b"SWMTKN-1-secret"


def test_no_part_that_carries_a_command_shows_it():
    entry = Entry(SECRET, 7, 3)
    append = Append(term=3, prev_index=6, prev_term=3, commit_index=6, entries=(entry,))
    for part in (entry, append, Received("m1", append), Propose(b"id", SECRET), Committed(7, b"id", SECRET)):
        assert SECRET.decode() not in repr(part)
    assert repr(entry) == "Entry(15 bytes, idx=7, term=3)"
