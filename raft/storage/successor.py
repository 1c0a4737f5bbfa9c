"""A stopped member's log, handed to a new member of the same node."""

from core.errors import FailedPrecondition, InvalidArgument
from proto import raft_pb2 as pb
from raft import codec
from raft.messages import Entry
from raft.storage.header import Owner
from raft.storage.state import State


def succeed(state: State, owner: Owner, commands: list[bytes]) -> None:
    """The log is `owner`'s from now on, and `commands` are its next entries, in a term that it begins.

    To be loaded again afterwards. Atomic: one file more, so after a crash the log is still the old member's, unchanged,
    or the new one's with all the commands. Raises StorageFailed, and FailedPrecondition, with nothing written, for a
    command that no log can hold.
    """
    journal = state.journal
    term = journal.term + 1
    vote = pb.RaftJournalBatch()
    vote.records.add(vote=pb.RaftVote(term=term, candidate=owner.node_id))
    entries = (Entry(command, index, term) for index, command in enumerate(commands, journal.entries[-1].idx + 1))
    # Each in a frame of its own, as together they may be larger than one.
    journal.hand_to(owner, [vote, *map(_batch, entries)])


def _batch(entry: Entry) -> pb.RaftJournalBatch:
    """What could not be read again must not be written: the log would be lost."""
    written = codec.encode_entry(entry)
    try:
        codec.decode_entry(written)
    except InvalidArgument as error:
        raise FailedPrecondition(f"{error}, so the log was left as it was; use a backup") from error
    batch = pb.RaftJournalBatch()
    batch.records.add(append=written)
    return batch
