"""The two ways to a cluster of this manager alone: with the log that it has, and with a backup."""

import asyncio
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import raft
from core.clock import WallClock
from core.errors import FailedPrecondition, Unavailable
from core.model import Role
from identity.model import NodeIdentity
from manager import recovery
from manager.logkeys import with_log_key
from manager.manager import Manager
from pyswarm.engineapi.ports import InitRequest, RestoreRequest
from pyswarm.node.addresses import parse_host_port
from pyswarm.node.config import DaemonConfig
from pyswarm.node.entering import keep
from pyswarm.node.keychain import load_keychain
from pyswarm.node.member import Member, own_address
from pyswarm.node.state import Membership, StateDir

_LOOK_AROUND = 3.0
"""Seconds that a manager which has just started is given to meet the others, and the others to answer."""
_STALLED = 60.0
"""Seconds without a byte after which a backup is not waited for any longer."""


async def has_lost_quorum(running: Callable[[], Manager | None]) -> bool:
    """Whether this node's manager is sure of it; one that does not run all the time, or has only just begun to, is not.

    Raises FailedPrecondition if enough managers can be reached, now or a few seconds later.
    """
    deadline = asyncio.get_running_loop().time() + _LOOK_AROUND
    first = running()
    while asyncio.get_running_loop().time() < deadline:
        manager = running()
        if manager is not None:
            voters = [member for member in manager.members if not member.learner]
            _check_quorum_lost(sum(member.reachable for member in voters), len(voters))
            if len(manager.members) == 1:
                return True
        await asyncio.sleep(0.1)
    return first is not None and first is running()


async def _be_sure_that_quorum_is_lost(folder: Path, identity: NodeIdentity, log_keys: Sequence[bytes]) -> None:
    """Asks the managers in the log itself, while no manager runs here: whoever takes a connection counts.

    Raises FailedPrecondition if they are enough, and what raft.voters raises.
    """
    voters = await asyncio.to_thread(with_log_key, log_keys, lambda key: raft.voters(folder, identity, key))
    others = [addr for node_id, addr in voters.items() if node_id != identity.node_id]
    answers = await asyncio.gather(*map(_answers, others))
    _check_quorum_lost(1 + sum(answers), 1 + len(others))


async def _answers(addr: str) -> bool:
    target = parse_host_port(addr)
    try:
        async with asyncio.timeout(_LOOK_AROUND):
            _, writer = await asyncio.open_connection(target.host, target.port)
    except OSError:  # TimeoutError is one too
        return False
    writer.close()
    return True


def _check_quorum_lost(reachable: int, voters: int) -> None:
    """They would go on without this one."""
    if voters > 1 and reachable > voters // 2:
        raise FailedPrecondition(
            f"the cluster has its quorum: {reachable} of {voters} managers can be reached, and with "
            "--force-new-cluster they would become a second cluster. Give up a lost manager with `pyswarm node demote` "
            "and `pyswarm node rm`; if this one shall go on alone all the same, stop the others first"
        )


async def go_on_alone(
    config: DaemonConfig,
    state: StateDir,
    request: InitRequest,
    stop: Callable[[], Awaitable[None]],
    sure: bool,
    unlock_key: bytes,
) -> Member:
    """This node as the only manager of its cluster. `stop` is called to stop what runs, once the request is in order.
    Unless it is `sure` that the others are gone, they are looked for then. `unlock_key` opens its keys on disk.

    Raises FailedPrecondition for a node without a manager's log or with one that cannot be used, or if the quorum is
    not lost, and InvalidArgument for addresses that cannot be: then nothing is changed on disk.
    """
    membership, keychain = state.load(), load_keychain(state.certificates, unlock_key)
    if membership is None or keychain is None or not raft.exists(state.raft):
        raise FailedPrecondition(
            "this node holds no manager's state, so there is nothing to force a new cluster from: run it on a manager "
            "of the cluster that lost its quorum, or without --force-new-cluster for an empty cluster"
        )
    credentials = keychain.credentials
    if credentials.identity.role is not Role.MANAGER:
        raise FailedPrecondition("this node is no manager any more; run it on a manager")
    wanted = replace(
        membership,
        advertise=request.advertise_addr or membership.advertise,
        listen=request.listen_addr or membership.listen,
    )
    address = own_address(config, wanted)
    await stop()
    if not sure:
        await _be_sure_that_quorum_is_lost(state.raft, credentials.identity, keychain.log_keys)
    now = WallClock().now()
    await asyncio.to_thread(recovery.lead_alone, state.raft, str(address), credentials.identity, now, keychain.log_keys)
    # Without the managers that it once joined through: they are none any more, and no guide to its own address.
    alone = replace(wanted, advertise=wanted.advertise or address.host, managers=())
    state.save(alone)
    return Member(config, state, alone, credentials, keychain)


@asynccontextmanager
async def received(backup: AsyncIterable[bytes], folder: Path) -> AsyncIterator[BinaryIO]:
    """All of `backup`, in a file on the disk of `folder` that is gone afterwards.

    Raises OSError, and Unavailable if nothing more arrives though `backup` has not ended.
    """
    pieces = aiter(backup)
    with tempfile.TemporaryFile(dir=folder) as file:
        while piece := await _next_piece(pieces):
            await asyncio.to_thread(file.write, piece)
        file.seek(0)
        yield file


async def _next_piece(pieces: AsyncIterator[bytes]) -> bytes:
    """Empty at the end."""
    try:
        async with asyncio.timeout(_STALLED):
            return await anext(pieces, b"")
    except TimeoutError:
        raise Unavailable(
            f"the backup did not arrive: nothing of it came for {_STALLED:g} s; start `pyswarm restore` again"
        ) from None


async def restore(config: DaemonConfig, state: StateDir, request: RestoreRequest, backup: BinaryIO) -> Member:
    """The first manager of the cluster that `backup` holds. What is on disk counts once this returns; if it raises, the
    caller wipes it. Raises InvalidArgument for addresses that cannot be, and what manager.recovery's `restore` raises.
    """
    membership = Membership(request.advertise_addr, request.listen_addr)
    address = own_address(config, membership)
    credentials = await asyncio.to_thread(
        recovery.restore, backup, request.passphrase, state.raft, str(address), address.host, WallClock().now()
    )
    keychain = keep(state, membership, credentials)
    return Member(config, state, membership, credentials, keychain)
