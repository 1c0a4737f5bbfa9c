"""Snapshots on the way: frozen state to disk, to a member that needs it, and in from the leader.

On the loop; the disk and all sealing are left to worker threads.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import grpc

from core.errors import PyswarmError, ResourceExhausted, UnknownOutcome
from core.logs import logger
from proto import raft_pb2 as pb
from raft.applier import Applier
from raft.engine.events import Event, Freeze, SendSnapshot, SnapshotArrived, SnapshotReady, SnapshotSent
from raft.storage.snapshot import FILE, SnapshotWriter
from raft.storage.state import State
from raft.transport.links import Links
from raft.transport.progress import noted
from raft.transport.snapshots import receive_snapshot, send_snapshot

log = logger("raft.snapshots")
_NUMBERS = itertools.count(1)
"""Of the process: what a former start of the member still throws away is never a file of the next one's."""
_SEND_TIMEOUT = 600.0
_RETRY_AFTER = 1.0


class Snapshots:
    def __init__(
        self,
        state: State,
        applier: Applier,
        links: Links,
        post: Callable[[Event], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._state = state
        self._applier = applier
        self._links = links
        self._post = post
        self._spawn = spawn
        self._receiving = False

    def freeze(self, at: Freeze) -> None:
        """Called when exactly the entries up to `at.entry` are applied."""
        state, encode = self._applier.freeze(at)
        path = self._state.folder / f"{FILE}.{next(_NUMBERS)}"

        def write() -> None:
            writer = SnapshotWriter(path, self._state.owner, self._state.keys.current, state)
            try:
                for chunk in encode():
                    writer.write(chunk)
                writer.finish()
            except BaseException:
                writer.abandon()
                raise

        async def run() -> None:
            try:
                await asyncio.to_thread(write)
            except OSError as error:
                # The log simply stays longer. If the disk is full the journal will say so itself.
                log.error("cannot write a snapshot", path=str(path), reason=error.strerror)
                self._post(SnapshotReady(at.entry.idx, None))
            else:
                self._post(SnapshotReady(at.entry.idx, path))

        self._spawn(run())

    def send(self, to: SendSnapshot) -> None:
        self._spawn(self._send(to))

    async def _send(self, to: SendSnapshot) -> None:
        connection = self._links.connection(to.node_id)
        try:
            if connection is None:
                raise ConnectionResetError("the stream ended")
            snapshot = await asyncio.to_thread(self._state.open_snapshot)
            log.info("sending a snapshot", node=to.node_id, index=snapshot.index)
            answer = await send_snapshot(connection, snapshot, to.term, _SEND_TIMEOUT)
        except (grpc.aio.AioRpcError, ConnectionResetError) as error:
            reason = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
            log.info("a snapshot was not taken", node=to.node_id, reason=reason)
        except PyswarmError as error:
            log.error("a snapshot cannot be sent", node=to.node_id, reason=error.message)
        else:
            log.info("a snapshot was taken", node=to.node_id, index=snapshot.index)
            self._post(SnapshotSent(to.node_id, answer.term, answer.next_index))
            return
        await asyncio.sleep(_RETRY_AFTER)
        self._post(SnapshotSent(to.node_id, to.term, 0))

    async def receive(self, sender: str, parts: AsyncIterator[pb.RaftSnapshotPart]) -> pb.RaftSnapshotInstalled:
        """From the leader. Answers once it is in use, or known not to be needed."""
        if self._receiving:
            raise ResourceExhausted("a snapshot is being received already")
        self._receiving = True
        path = self._state.folder / f"{FILE}.{next(_NUMBERS)}"
        try:
            term = await receive_snapshot(noted(parts, sender), path, self._state.owner, self._state.keys.current)
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[pb.RaftSnapshotInstalled] = loop.create_future()

            def done(own_term: int, next_index: int) -> None:
                installed = pb.RaftSnapshotInstalled(term=own_term, next_index=next_index)
                loop.call_soon_threadsafe(_resolve, answer, installed)

            self._post(SnapshotArrived(sender, term, path, done))
            async with asyncio.timeout(_SEND_TIMEOUT):
                return await answer
        except TimeoutError:
            raise UnknownOutcome("the snapshot was not put in use in time, and may still be") from None
        finally:
            self._receiving = False


def _resolve(answer: "asyncio.Future[pb.RaftSnapshotInstalled]", installed: pb.RaftSnapshotInstalled) -> None:
    if not answer.done():
        answer.set_result(installed)
