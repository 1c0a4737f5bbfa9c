"""Agents' reports on their way into the store, each acknowledged once it is committed."""

import asyncio
from collections.abc import Mapping
from functools import partial

from core.logs import logger
from core.model import TaskStatus
from manager.dispatcher.reports import record_statuses
from manager.dispatcher.session import AgentSession
from manager.dispatcher.writes import OBJECT_SIZE, WriteQueue

log = logger("manager.dispatcher")


class ReportWriter:
    def __init__(self, writes: WriteQueue) -> None:
        self._writes = writes

    def add(self, session: AgentSession, sequence: int, statuses: Mapping[str, TaskStatus]) -> None:
        """Report number `sequence` of the session. One write of a session is under way at a time."""
        session.inbox.add(sequence, statuses)
        self._write(session)

    def _write(self, session: AgentSession) -> None:
        statuses = session.inbox.take()
        if statuses:
            size = sum(OBJECT_SIZE + len(status.message) + len(status.err) for status in statuses.values())
            write = self._writes.submit(partial(record_statuses, node_id=session.node_id, statuses=statuses), size)
            write.add_done_callback(partial(self._written, session))
        elif (sequence := session.inbox.next_ack()) is not None:
            session.ack(sequence)

    def _written(self, session: AgentSession, write: "asyncio.Future[None]") -> None:
        error = write.exception()
        if error is None:
            session.inbox.written()
        else:
            log.warning("a report was not written; its agent repeats it", node=session.node_id, error=str(error))
            session.inbox.failed()
        self._write(session)
