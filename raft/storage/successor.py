"""A stopped member's log, handed to a new member of the same node."""

from proto import raft_pb2 as pb
from raft import codec
from raft.messages import Entry
from raft.storage.files import replace_file
from raft.storage.frame import frame
from raft.storage.header import Owner, new_header, place
from raft.storage.journal import SUFFIX
from raft.storage.state import State


def succeed(state: State, owner: Owner, commands: list[bytes]) -> None:
    """The log is `owner`'s from now on, and `commands` are its next entries, in a term that it begins.

    To be loaded again afterwards. Atomic: one file more, so after a crash the log is still the old member's, unchanged,
    or the new one's with all the commands. Raises OSError.
    """
    journal, key = state.journal, state.keys.current
    term = journal.term + 1
    batch = pb.RaftJournalBatch()
    batch.records.add(vote=pb.RaftVote(term=term, candidate=owner.node_id))
    for index, command in enumerate(commands, journal.entries[-1].idx + 1):
        batch.records.add(append=codec.encode_entry(Entry(command, index, term)))
    sequence = max(int(path.stem) for path in state.folder.glob(f"*{SUFFIX}")) + 1
    header = new_header(owner, key, sequence)
    sealed = key.seal(batch.SerializeToString(), place(header.file_id, 0))
    replace_file(state.folder / f"{sequence:016d}{SUFFIX}", frame(header.SerializeToString()) + frame(sealed))
