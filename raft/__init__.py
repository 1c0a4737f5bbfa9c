"""A replicated log that never loses an acknowledged write. This is all that the rest of the product sees of it."""

from pathlib import Path

from identity.credentials import Credentials
from raft.api import MAX_CHUNK, MAX_COMMAND, Consensus, Leadership, Member, StateMachine, Timing
from raft.consensus import RaftNode
from raft.membership import Change
from raft.recovery import create_from_copy, force_new_cluster, voters
from raft.storage import state
from raft.storage.errors import Locked
from raft.storage.inspection import Inspection, LoggedEntry, inspect_log

__all__ = [
    "MAX_CHUNK",
    "MAX_COMMAND",
    "Change",
    "Consensus",
    "Inspection",
    "Leadership",
    "Locked",
    "LoggedEntry",
    "Member",
    "RaftNode",
    "StateMachine",
    "Timing",
    "create_from_copy",
    "exists",
    "force_new_cluster",
    "inspect_log",
    "open_member",
    "voters",
    "wipe",
]


def open_member(
    folder: Path,
    addr: str,
    credentials: Credentials,
    machine: StateMachine,
    *,
    bootstrap: bool = False,
    timing: Timing | None = None,
    unlock_key: bytes = b"",
) -> RaftNode:
    """The member whose log lies in `folder`, or a new one if none does. `addr` is where other members reach it.

    A new one is the first of a new cluster with `bootstrap`; without, it waits to `join` one. FailedPrecondition, with
    the repair to do, for a folder of another cluster, node or version, and for a damaged one. Locked for one that
    was locked with another key than `unlock_key`; a new one is locked with it.
    """
    identity = credentials.identity
    if state.exists(folder):
        stored = state.load(folder, identity.cluster_id, identity.node_id, unlock_key=unlock_key)
    else:
        first = addr if bootstrap else None
        stored = state.create(folder, identity.cluster_id, identity.node_id, first, unlock_key=unlock_key)
    return RaftNode(stored, addr, credentials, machine, timing or Timing())


def exists(folder: Path) -> bool:
    """Whether a member's log lies in `folder`."""
    return state.exists(folder)


def wipe(folder: Path) -> None:
    """Forgets a stopped member. It cannot come back; its node can join again as a new one."""
    state.wipe(folder)
