"""A stopped member's log, handed to a new member of the same node."""

from proto import raft_pb2 as pb
from raft import codec
from raft.messages import Entry
from raft.storage.header import Owner
from raft.storage.state import State


def succeed(state: State, owner: Owner, commands: list[bytes]) -> None:
    """The log is `owner`'s from now on, and `commands` are its next entries, in a term that it begins.

    To be loaded again afterwards. Atomic: one file more, so after a crash the log is still the old member's, unchanged,
    or the new one's with all the commands. Raises StorageFailed.
    """
    journal = state.journal
    term = journal.term + 1
    batch = pb.RaftJournalBatch()
    batch.records.add(vote=pb.RaftVote(term=term, candidate=owner.node_id))
    for index, command in enumerate(commands, journal.entries[-1].idx + 1):
        batch.records.add(append=codec.encode_entry(Entry(command, index, term)))
    journal.hand_to(owner, batch)
