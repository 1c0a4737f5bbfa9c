"""How a manager gets its place in the log of the others, and tells them when its address has changed."""

import asyncio
from collections.abc import Sequence

from core.errors import PyswarmError, Unavailable
from core.logs import logger
from raft import RaftNode

_ANNOUNCE_RETRY = 1.0

log = logger("manager")


async def join(raft: RaftNode, managers: Sequence[str]) -> None:
    """Through the first of `managers` (host:port) that answers.

    Raises Unavailable if none does, and what raft's `join` raises.
    """
    failure: PyswarmError = Unavailable("no manager is known to join")
    for manager in managers:
        if manager == raft.own.addr:
            continue
        try:
            await raft.join(manager)
            return
        except Unavailable as error:
            failure = error
    raise failure


async def announce(raft: RaftNode, managers: Sequence[str]) -> None:
    """Returns once the others know at which address this member is reached now."""
    own = next((member for member in raft.members() if member.node_id == raft.own.node_id), None)
    while own is not None and own.addr != raft.own.addr:
        others = [member.addr for member in raft.members() if member.node_id != own.node_id]
        try:
            await join(raft, [*others, *managers])
            return
        except PyswarmError as error:
            log.warning("the others do not know this manager's new address yet", reason=error.message)
            await asyncio.sleep(_ANNOUNCE_RETRY)
