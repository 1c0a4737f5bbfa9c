"""Going on alone: when the quorum is lost for good, and from a copy of the state. Both need the member stopped.

The new member has an incarnation of its own, so whoever still takes it for the old one is refused before a word.
"""

import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from core.errors import FailedPrecondition
from core.files import move_file
from identity.model import NodeIdentity
from proto import raft_pb2 as pb
from raft import codec
from raft.api import StateMachine
from raft.applier import Applier
from raft.engine.events import Committed
from raft.membership import Change, Peer
from raft.messages import NOOP, Entry
from raft.storage.journal import Contents, Journal
from raft.storage.keys import create_keys
from raft.storage.loader import new_owner
from raft.storage.snapshot import FILE, SnapshotWriter
from raft.storage.state import State, load, wipe
from raft.storage.successor import succeed


def force_new_cluster(
    folder: Path,
    addr: str,
    identity: NodeIdentity,
    machine: StateMachine,
    last_changes: Callable[[], Iterable[bytes]],
    unlock_key: bytes = b"",
) -> None:
    """Makes the log in `folder` that of a cluster of this one member, with every entry that it holds.

    `machine`, which is empty, is given the whole log; then `last_changes` is asked for the commands that take the
    others out of the machine's state too, none larger than MAX_COMMAND. All or nothing, also after a crash. The others
    can never come back with what they hold. Raises FailedPrecondition where the log may not be whole or a command is
    too large, and what raft.open_member raises.
    """
    state = load(folder, identity.cluster_id, identity.node_id, unlock_key=unlock_key)
    try:
        now = state.membership.current
        if identity.node_id not in now.voters:
            raise FailedPrecondition(
                f"this manager was never a full member of the cluster's log, so {folder} may not hold all of it; "
                "use another manager, or a backup"
            )
        _replay(state, machine)
        owner = new_owner(identity.cluster_id, identity.node_id)
        changes = [Change(peer, remove=True) for peer in now.peers.values()]
        changes.append(Change(Peer(identity.node_id, addr, owner.incarnation)))
        commands = [codec.encode_change(secrets.token_bytes(16), change) for change in changes]
        commands += [codec.encode_proposal(secrets.token_bytes(16), change) for change in last_changes()]
        succeed(state, owner, commands)
    finally:
        state.journal.close()


def voters(folder: Path, identity: NodeIdentity, unlock_key: bytes = b"") -> dict[str, str]:
    """Node id -> address of the full members, as the log in `folder` has them. Raises what raft.open_member raises."""
    state = load(folder, identity.cluster_id, identity.node_id, unlock_key=unlock_key)
    state.journal.close()
    known = state.membership.current
    return {node_id: known.peers[node_id].addr for node_id in known.voters}


def _replay(state: State, machine: StateMachine) -> None:
    """Committed or not: what this member holds is all that is left, so it counts."""
    applier = Applier(machine)
    if state.snapshot is not None:
        applier.restore(state.snapshot)
    for entry in state.journal.entries:
        request_id, body = codec.decode_command(entry.command)
        if entry.idx > applier.index and body is not None:
            applier.committed(Committed(entry.idx, request_id, body))


def create_from_copy(folder: Path, addr: str, identity: NodeIdentity, index: int, chunks: Iterable[bytes]) -> None:
    """The log of a new cluster of this one member, whose state machine's `freeze` gave `chunks` at `index`.

    Atomic: after a crash there is a whole log or none. Raises OSError, and FailedPrecondition if `folder` is there.
    """
    if folder.exists():
        raise FailedPrecondition(f"{folder} is there already; move it away")
    half = folder.with_name(folder.name + ".new")
    wipe(half)
    half.mkdir(mode=0o700, parents=True)
    owner, keys = new_owner(identity.cluster_id, identity.node_id), create_keys(half)
    entries = [Entry(NOOP, max(index, 2) - 1, 0), Entry(NOOP, max(index, 2), 0)]
    own = codec.encode_peer(Peer(identity.node_id, addr, owner.incarnation))
    state = pb.RaftSnapshotState(entry=codec.encode_entry(entries[-1]), members=[own])
    writer = SnapshotWriter(half / FILE, owner, keys.current, state)
    try:
        for chunk in chunks:
            writer.write(chunk)
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
    journal = Journal(owner, Contents(), [], half, keys.current)
    journal.restart(entries)
    journal.sync()
    journal.close()
    move_file(half, folder)
