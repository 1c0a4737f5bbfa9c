"""Answers the leader's log subscriptions: each is one stream of lines, from all tasks of it that are here."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing

import grpc

from core.logs import logger
from core.model import LogLine, LogOptions
from proto import dispatcher_pb2 as pb
from worker.executor import Controller, TaskError, TemporaryError
from worker.link import Dispatcher

BATCH_LINES = 500
BATCH_SIZE = 1 << 20
"""Bytes of lines after which no more are let into a batch: it is one message."""
QUEUE_LINES = 2 * BATCH_LINES
"""Lines read ahead of the network, for each subscription; a container that writes faster waits in its own log."""

log = logger("worker.logs")

Find = Callable[[str], Awaitable[Controller | None]]


class LogPublisher:
    """The subscriptions of one session."""

    def __init__(self, dispatcher: Dispatcher, session_id: str, find: Find) -> None:
        self._dispatcher = dispatcher
        self._session_id = session_id
        self._find = find
        self._open: dict[str, tuple[_Subscription, asyncio.Task[None]]] = {}

    def handle(self, message: pb.LogSubscription) -> None:
        if message.close:
            if message.id in self._open:
                self._open[message.id][1].cancel()
            return
        if message.id not in self._open:
            wanted = message.options
            options = LogOptions(wanted.stdout, wanted.stderr, wanted.follow, wanted.since, wanted.tail, wanted.details)
            subscription = _Subscription(self._session_id, message.id, options, self._find)
            job = asyncio.create_task(subscription.run(self._dispatcher))
            job.add_done_callback(lambda _: self._open.pop(message.id))
            self._open[message.id] = (subscription, job)
        self._open[message.id][0].add(message.task_ids)

    async def close(self) -> None:
        """The session has ended, and its subscriptions with it."""
        jobs = [job for _, job in self._open.values()]
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs)


class _Subscription:
    def __init__(self, session_id: str, subscription_id: str, options: LogOptions, find: Find) -> None:
        self._session_id = session_id
        self._subscription_id = subscription_id
        self._options = options
        self._find = find
        self._queue: asyncio.Queue[LogLine | str | None] = asyncio.Queue(QUEUE_LINES)
        """Lines; texts of errors; None when one reader has ended."""
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._reading = 0
        self._over = False

    def add(self, task_ids: Iterable[str]) -> None:
        for task_id in task_ids:
            if task_id not in self._readers and not self._over:
                self._reading += 1
                self._readers[task_id] = asyncio.create_task(self._read(task_id))

    async def run(self, dispatcher: Dispatcher) -> None:
        try:
            await dispatcher.PublishLogs(self._requests())
        except grpc.aio.AioRpcError as error:
            log.info("the manager ended a log subscription", reason=error.details())
        finally:
            await self._end()

    async def _end(self) -> None:
        """A call that its server has ended leaves its requests alone, waiting for ever: they are woken."""
        self._over = True
        if self._queue.empty():
            self._queue.put_nowait(None)
        for reader in self._readers.values():
            reader.cancel()
        if self._readers:
            await asyncio.wait(self._readers.values())

    async def _read(self, task_id: str) -> None:
        try:
            controller = await self._find(task_id)
            if controller is None:
                raise TaskError("it is no longer on this node")
            async with aclosing(controller.logs(self._options)) as lines:
                async for line in lines:
                    await self._queue.put(line)
        except (TaskError, TemporaryError) as error:
            await self._queue.put(f"the log of task {task_id} cannot be read: {error}")
        except Exception as error:
            log.exception("unexpected failure", task=task_id)
            await self._queue.put(f"the log of task {task_id} cannot be read: internal error: {error!r}")
        await self._queue.put(None)

    async def _requests(self) -> AsyncIterator[pb.PublishLogsRequest]:
        """Batches of what is ready. Ends when every log has been read, unless more is to be followed."""
        while not self._over and (self._reading or self._options.follow):
            items = [await self._queue.get()]
            size = _size(items[0])
            while len(items) < BATCH_LINES and size < BATCH_SIZE and not self._queue.empty():
                items.append(self._queue.get_nowait())
                size += _size(items[-1])
            self._reading -= items.count(None)
            lines = [_encode(item) for item in items if isinstance(item, LogLine)]
            errors = [item for item in items if isinstance(item, str)]
            if lines or errors:
                yield self._request(lines=lines, error="; ".join(errors))
        if not self._over:
            yield self._request(done=True)

    def _request(self, lines: Iterable[pb.LogLine] = (), error: str = "", done: bool = False) -> pb.PublishLogsRequest:
        return pb.PublishLogsRequest(
            session_id=self._session_id, subscription_id=self._subscription_id, lines=lines, error=error, done=done
        )


def _size(item: LogLine | str | None) -> int:
    return len(item.data) + len(item.details) if isinstance(item, LogLine) else 0


def _encode(line: LogLine) -> pb.LogLine:
    return pb.LogLine(
        service_id=line.service_id,
        node_id=line.node_id,
        task_id=line.task_id,
        timestamp=line.timestamp,
        stderr=line.stderr,
        data=line.data,
        details=line.details,
    )
